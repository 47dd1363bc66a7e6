"""The preparing scripts as programs, started inside `data/`: an existing file is kept unless --force is given."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = {'prepare_data_h36m': ['--from-archive', 'none'], 'prepare_data_2d_h36m_sh': ['-ft', 'none'],
           'prepare_data_cmu': ['--from-asfamc', 'none'], 'prepare_data_3dhp': ['--from-source', 'none'],
           'prepare_data_humaneva': ['--from-source', 'none'], 'prepare_data_free': ['--from-source', 'none'],
           'prepare_data_demo': []}
OUTPUTS = {'prepare_data_2d_h36m_sh': 'data_2d_h36m_sh_ft_h36m.npz'}


@pytest.mark.parametrize('name', SCRIPTS)
def test_an_existing_file_is_kept_with_one_sentence(name, tmp_path):
    output = tmp_path / OUTPUTS.get(name, f'data_3d_{name.removeprefix("prepare_data_")}.npz')
    output.write_text('precious')
    folder = output if name == 'prepare_data_demo' else tmp_path
    done = subprocess.run([sys.executable, f'{name}.py', *SCRIPTS[name], '--output', folder], cwd=ROOT / 'data',
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (2, '', 1), done.stderr
    assert done.stderr.startswith(f'{name}.py: {output}') and 'give --force to replace it' in done.stderr
    assert output.read_text() == 'precious' and os.listdir(tmp_path) == [output.name]
