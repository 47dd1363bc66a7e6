"""The experiment on recipes: a row for each command, and results that are not computed twice."""

import json

from experiments import recipes


def test_results_are_kept_and_not_repeated(tmp_path, script, monkeypatch):
    commands, output = [], tmp_path / 'results.json'

    def train(command, _):
        commands.append(command)
        return {'P1': 50.0 + len(commands), 'P2': 40.0, 'seconds': 1.0}

    monkeypatch.setattr(recipes, 'train', train)
    arguments = ('--rows', 'published', 'tuned', '--networks', 'linear', '--output', output, '--seeds')
    status, out, err = script(recipes.main, *arguments, '0')
    assert status == 0 and '| tuned | linear | 1 | 52.0 ± 0.0 | 40.0 ± 0.0 | `--recipe tuned` |' in out, err
    status, out, _ = script(recipes.main, *arguments, '0', '2')
    assert commands == [f'main_linear.py{flags} -e 5 --seed {seed}'
                        for seed in (0, 2) for flags in ('', ' --recipe tuned')]
    assert '| published | linear | 2 | 52.0 ± 1.4 | 40.0 ± 0.0 | `` |' in out
    assert len(json.loads(output.read_text())['runs']) == 4
