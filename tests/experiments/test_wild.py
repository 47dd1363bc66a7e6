"""The benchmark of weights for the wild, on a few poses and networks that were never trained."""

import numpy as np
import pytest
import torch

from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.datasets.virtual.detector_noise import SIMULATED_LAYOUTS
from data import prepare_data_free
from experiments import wild
from models.config import ModelConfig, build_model
from tests.helpers.make_detections import demo_person


def save(path, normalization, **config):
    torch.manual_seed(0)
    config = ModelConfig(hid_dim=8, num_layers=1, **config)
    model = build_model(config, h36m.skeleton())
    Checkpoint(1, 1e-3, 1, model.state_dict(), None, 50.0, config, normalization=normalization).save(str(path))
    return path


@pytest.fixture
def folder(tmp_path, script):
    """Has data_3d_free.npz: an actor to train on, and two kinds of motion of actors to test."""
    clips = {'cmu_014_02': 'Walking', 'cmu_049_01': 'Walking', 'cmu_094_01': 'Greeting'}
    copies = {row.partition('|')[0]: row for row in prepare_data_free.read_table()}
    takes = [demo_person()[action][:12] for action in clips.values()]
    np.savez(tmp_path / 'clips.npz', positions=np.concatenate(takes), clip=np.repeat([0, 1, 2], 12).astype(np.int32),
             names=np.array([copies[name] for name in clips]), fps=np.full(3, 30, np.float32))
    status, _, err = script(prepare_data_free.main, '--from-source', tmp_path / 'clips.npz', '--output', tmp_path)
    assert status == 0, err
    return tmp_path


def test_every_table_is_printed(folder, script, monkeypatch):
    network = save(folder / 'wild.pth.tar', 'person', architecture='gcn', window=5)
    linear = save(folder / 'linear.pth.tar', 'person', architecture='linear', window=5)
    published = save(folder / 'published.pth.tar', 'image', architecture='gcn')
    arguments = ('--data_dir', folder, '--checkpoint', network, '--step', '6')
    status, out, err = script(wild.main, *arguments, '--linear', linear, '--published', published)
    assert status == 0, err
    rows = [[cell.strip(' *') for cell in line.strip('|').split('|')] for line in out.splitlines() if '|' in line]
    kinds = [row for row in rows if row[0] in ('Gymnastics', 'Dance')]
    assert len(kinds) == 2 * (len(SIMULATED_LAYOUTS) + 1) and {row[1] for row in kinds} == {*SIMULATED_LAYOUTS, 'all'}
    assert all(0 < float(cell) < 1000 for row in kinds for cell in row[2:])
    hidden = {row[0]: row[1:] for row in rows[:-7] if row[0].isdigit()}
    assert list(hidden) == ['0', '1', '2', '4'] and hidden['0'] == [hidden['0'][0]] * 2 + [''] * 2
    assert [row[0] for row in rows if row[0].startswith(('window', 'one frame'))] == [
        'window of 5', 'one frame, repeated', 'window of 5, mean with the mirrored']
    changes = [row for row in rows if row[0] in wild.CHANGES]
    assert len(changes) == len({row[1] for row in changes}) == 9  # each changes the poses
    assert [row[0] for row in rows[-7:]] == ['5', '10', '15', '24', '30', '60', '120']
    right, wrong = zip(*(row[1:] for row in rows[-7:]))
    assert right[4] == wrong[4] and len(set(wrong)) > 4
    status, alone, err = script(wild.main, *arguments)
    assert status == 0 and all(f'| {row[2]} |' in alone for row in kinds), err
