"""Whole runs from the command line: train, resume to the same bits, evaluate; and every wrong input answered."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import main_gcn
import main_linear
from common.checkpoint import load_checkpoint
from common.training.log import COLUMNS
from tests.conftest import ROOT
from tests.helpers.runs import GCN, SMALL, assert_same_run, run_folder, train


@pytest.mark.parametrize('main, network', [
    (main_gcn.main, ['-z', '8', '-l', '1']), (main_gcn.main, ['-z', '8', '-l', '1', '--non_local', '--conv', 'semch']),
    (main_linear.main, []),
])
def test_train_then_evaluate_without_saying_which_network(workplace, script, main, network):
    out = train(script, *SMALL, *network, '-e', '2', '--snapshot', '1', main=main)
    folder = run_folder()
    assert sorted(os.listdir(folder)) == ['ckpt_best.pth.tar', 'ckpt_epoch_0001.pth.tar', 'ckpt_epoch_0002.pth.tar',
                                          'ckpt_last.pth.tar', 'log.png', 'log.txt']
    header, *lines = (workplace / folder / 'log.txt').read_text().splitlines()
    assert tuple(header.split('\t')) == COLUMNS
    rows = np.array([[float(cell) for cell in line.split('\t')] for line in lines])
    assert rows.shape == (2, 5) and rows[:, 0].tolist() == [1, 2] and np.isfinite(rows).all()
    last_lines = out.strip().splitlines()[-2:]
    assert re.fullmatch(r'Protocol #1   \(MPJPE\) action-wise average: \d+\.\d\d \(mm\)', last_lines[0])
    assert re.fullmatch(r'Protocol #2 \(P-MPJPE\) action-wise average: \d+\.\d\d \(mm\)', last_lines[1])

    last = f'{folder}/ckpt_last.pth.tar'
    evaluated = train(script, '-d', 'tiny', '--evaluate', last, '--report', 'r.json', main=main)
    assert evaluated.strip().splitlines()[-2:] == last_lines
    report = json.loads((workplace / 'r.json').read_text())
    assert report['dataset'] == 'tiny' and list(report['per_action']) == ['Eating', 'Walking']
    assert report['per_action']['Walking']['poses'] == 2 * 12 * 4
    assert f'{report["action_wise_average"]["mpjpe_mm"]:.2f}' in last_lines[0]
    assert report['pose_wise_average']['mpjpe_mm'] == pytest.approx(rows[1, 3], rel=1e-6)
    assert re.search(rf'Walking +96 +{report["per_action"]["Walking"]["mpjpe_mm"]:.2f}', evaluated)


@pytest.mark.parametrize('main, network', [
    (main_gcn.main, ['-z', '8', '-l', '1', '--non_local', '--dropout', '0.2']), (main_linear.main, []),
])
def test_going_on_from_an_old_snapshot_ends_in_the_same_bits_and_the_same_log(workplace, script, main, network):
    arguments = [*SMALL, *network, '--seed', '3', '--lr_decay', '7', '--snapshot', '2']
    train(script, *arguments, '-e', '4', '-c', 'whole', main=main)
    shutil.copytree('whole', 'again')
    again = run_folder('again')
    train(script, '--device', 'cpu', '-r', f'{again}/ckpt_epoch_0002.pth.tar', main=main)
    assert os.listdir('again') == [os.path.basename(again)]
    assert_same_run(run_folder('whole'), again)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(workplace, script):
    states = []
    for name, seed, workers in (('a', 1, 0), ('b', 1, 8), ('c', 2, 0)):
        train(script, *GCN, '-e', '1', '--seed', seed, '--num_workers', workers, '-c', name)
        states.append(load_checkpoint(f'{run_folder(name)}/ckpt_last.pth.tar').state_dict)
    same, other = ([torch.equal(states[0][key], state[key]) for key in state] for state in states[1:])
    assert all(same) and not all(other)


@pytest.mark.parametrize('extra', [[], ['--ema', '0.9', '--val_subjects', 'S5']])
def test_a_run_whose_epochs_are_done_prints_its_table_again(workplace, script, extra):
    """As after a kill between the last checkpoint and the table; files stay as they are."""
    out = train(script, *GCN, '-e', '2', '--snapshot', '1', '--report', 'r.json', *extra)
    folder = workplace / run_folder()
    report = (workplace / 'r.json').read_text()
    (folder / 'log.png').unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = train(script, '-r', f'{run_folder()}/ckpt_last.pth.tar', '--device', 'cpu', '--report', 'r.json')
    assert 'all 2 epochs are done' in again and again.splitlines()[-5:] == out.splitlines()[-5:]
    assert (workplace / 'r.json').read_text() == report
    assert (folder / 'log.png').stat().st_size
    (folder / 'log.png').unlink()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    train(script, '-r', f'{run_folder()}/ckpt_epoch_0001.pth.tar', '-e', '1', '--device', 'cpu')
    assert (folder / 'log.txt').read_bytes() == before['log.txt']


def test_a_worse_epoch_after_a_resume_does_not_replace_the_best(workplace, script):
    train(script, *GCN, '-e', '1')
    folder = run_folder()
    path = f'{folder}/ckpt_last.pth.tar'
    checkpoint = load_checkpoint(path)
    checkpoint.best_error = 1e-3  # as if an earlier epoch had been nearly perfect
    checkpoint.save(path)
    best = (workplace / folder / 'ckpt_best.pth.tar').read_bytes()
    train(script, '-r', path, '-e', '2', '--device', 'cpu')
    assert (workplace / folder / 'ckpt_best.pth.tar').read_bytes() == best
    assert load_checkpoint(path).best_error == 1e-3


def test_tensorboard_gets_the_log(workplace, script):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    train(script, *GCN, '-e', '2', '--tensorboard')
    events = accumulator.EventAccumulator(run_folder())
    events.Reload()
    assert [event.step for event in events.Scalars('error_eval_p1')] == [1, 2]
    lines = (workplace / run_folder() / 'log.txt').read_text().splitlines()[1:]
    for name, column in zip(COLUMNS[1:], range(1, 5), strict=True):
        values = [event.value for event in events.Scalars(name)]
        np.testing.assert_allclose(values, [float(line.split('\t')[column]) for line in lines], rtol=1e-5)


def test_demo_prints_the_mean_pose_beside_the_network(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    arguments = ['-d', 'demo', '--device', 'cpu', '-z', '8', '-l', '1', '-e', '1', '--downsample', '20']
    out = train(script, *arguments, '--report', 'r.json')
    assert 'mean pose' in out and 'Baseline, the mean training pose: ' in out
    report = json.loads((tmp_path / 'r.json').read_text())
    assert 100 < report['action_wise_average']['mean_pose_mpjpe_mm'] < 500
    assert 'mean_pose_mpjpe_mm' in report['per_action']['Walking']


@pytest.mark.parametrize('name', ['main_gcn.py', 'main_linear.py'])
def test_scripts_run_as_programs(workplace, name):
    done = subprocess.run([sys.executable, str(ROOT / name), '-d', 'nothing'], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 2 and done.stderr.startswith(f'{name}: ') and done.stderr.count('\n') == 1


def test_validation_subjects_choose_and_test_subjects_are_scored_at_the_end(workplace, script):
    out = train(script, *GCN, '-e', '3', '--val_subjects', 'S5', '--report', 'r.json')
    assert '144 poses to train, 144 to validate' in out
    report = json.loads((workplace / 'r.json').read_text())
    chosen = report['chosen']
    assert report['epoch'] == 3 and chosen['on'] == ['S5']
    rows = np.loadtxt(f'{run_folder()}/log.txt', skiprows=1)
    assert chosen['epoch'] == rows[rows[:, 3].argmin(), 0]
    for path, errors in (('ckpt_best', chosen), ('ckpt_last', report['action_wise_average'])):
        train(script, '-d', 'tiny', '--evaluate', f'{run_folder()}/{path}.pth.tar', '--report', 'e.json')
        again = json.loads((workplace / 'e.json').read_text())['action_wise_average']
        assert errors['mpjpe_mm'] == pytest.approx(again['mpjpe_mm'], rel=1e-9)
    # other validation subjects have no best error yet: the first epoch is their best
    train(script, '-r', f'{run_folder()}/ckpt_last.pth.tar', '-e', '4', '--val_subjects', 'S1', '--device', 'cpu')
    assert load_checkpoint(f'{run_folder()}/ckpt_best.pth.tar').epoch == 4
    status, _, err = script(main_gcn.main, *GCN, '--val_subjects', 'S9')
    assert status == 2 and 'S9' in err and 'S1, S5' in err


def test_averaged_weights_are_what_is_evaluated_and_the_raw_ones_are_kept(workplace, script):
    train(script, *GCN, '-e', '2', '--ema', '0.9', '-c', 'averaged')
    train(script, *GCN, '-e', '2', '-c', 'raw')
    averaged, raw = (load_checkpoint(f'{run_folder(name)}/ckpt_last.pth.tar') for name in ('averaged', 'raw'))
    assert all(torch.equal(averaged.state_dict[key], raw.state_dict[key]) for key in raw.state_dict)
    assert averaged.error != raw.error
    out = train(script, '-d', 'tiny', '--evaluate', f'{run_folder("averaged")}/ckpt_last.pth.tar', '--report', 'e.json')
    report = json.loads((workplace / 'e.json').read_text())
    assert report['pose_wise_average']['mpjpe_mm'] == pytest.approx(averaged.error, rel=1e-6) and 'Protocol' in out
