"""The published checkpoint on real motion: the published numbers, to the digits that matter."""

import json
import shutil

import numpy as np
import pytest
import torch

import main_gcn
from common import checkpoint
from common.datasets import h36m
from common.inference import predict
from tests.conftest import GOLDEN


@pytest.fixture
def published(shared):
    return str(shared('pretrained/ckpt_semgcn.pth.tar'))


def test_published_checkpoint_predicts_the_golden_poses(published, golden):
    arrays = golden('ckpt_semgcn')
    loaded = checkpoint.load_checkpoint(published)
    model = checkpoint.restore_model(loaded, published, h36m.skeleton()).eval()
    positions = predict(model, torch.from_numpy(arrays['input']))
    np.testing.assert_allclose(positions, arrays['output'], rtol=0, atol=1e-5)


def test_published_checkpoint_scores_the_golden_errors_on_cmu(published, shared, tmp_path, monkeypatch, script):
    (tmp_path / 'data').mkdir()
    shutil.copy(shared('mocap/data_3d_cmu.npz'), tmp_path / 'data')
    monkeypatch.chdir(tmp_path)
    status, out, err = script(main_gcn.main, '--dataset', 'cmu', '--evaluate', published, '--report', 'r.json')
    assert status == 0, err
    assert out.endswith('Protocol #1   (MPJPE) action-wise average: 131.29 (mm)\n'
                        'Protocol #2 (P-MPJPE) action-wise average: 81.96 (mm)\n')
    expected = json.loads((GOLDEN / 'ckpt_semgcn_on_cmu.json').read_text())
    report = json.loads((tmp_path / 'r.json').read_text())
    assert list(report['per_action']) == list(expected['per_action'])
    for kind, errors in expected['per_action'].items():
        assert report['per_action'][kind]['poses'] == errors['poses']
        for name in ('mpjpe_mm', 'p_mpjpe_mm'):
            assert report['per_action'][kind][name] == pytest.approx(errors[name], abs=0.01), kind
    for name, value in expected['action_wise_average'].items():
        assert report['action_wise_average'][name] == pytest.approx(value, abs=0.01)


def test_training_goes_on_from_a_published_checkpoint(published, data_dir, monkeypatch, script):
    monkeypatch.chdir(data_dir.parent)
    before = checkpoint.load_checkpoint(published)
    status, out, err = script(main_gcn.main, '-d', 'tiny', '-r', published, '-e', '40', '--device', 'cpu')
    assert status == 0, err
    assert 'holds no random states' in err and 'epoch 40/40' in out
    (folder,) = (data_dir.parent / 'checkpoint').iterdir()  # not the folder that the published file lies in
    after = checkpoint.load_checkpoint(str(folder / 'ckpt_last.pth.tar'))
    assert after.step == before.step + 5  # 2 subjects, 3 sequences, 4 cameras, 12 frames: 288 poses, 64 a step
    assert after.epoch == 40 and after.optimizer['state'][0]['step'] == after.step
