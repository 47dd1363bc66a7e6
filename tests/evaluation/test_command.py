"""main_gcn.py --evaluate on a data set like MPI-INF-3DHP: camera coordinates, joints that count for PCK, activities."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import main_gcn
from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.files.npz import write_npz
from models.config import ModelConfig, build_model

COUNTED = [name for name in h36m.skeleton().names if name not in ('Hip', 'Spine')]  # the 14 of the official script
ACTIVITIES = ('Standing 1', 'Standing 2', 'Sports')


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """`tdhp`: two test subjects in images of different sizes, and a network that is off by about 150 mm."""
    monkeypatch.chdir(tmp_path)
    skeleton, sizes = h36m.skeleton(), {'TS1': (2048, 2048), 'TS5': (1920, 1080)}
    x = np.array([0, -.13, -.13, -.13, .13, .13, .13, 0, 0, 0, .17, .2, .2, -.17, -.2, -.2])
    y = np.array([0, 0, .45, .9, 0, .45, .9, -.25, -.5, -.75, -.45, -.2, .05, -.45, -.2, .05])  # down
    standing = np.stack([x, y, 0 * x], axis=1)
    positions = {subject: {activity: (standing + (0, 0, 4) + rng.normal(0, .05, (20, 16, 3))).astype(np.float32)
                           for activity in ACTIVITIES} for subject in sizes}
    pixels = {subject: {activity: [1100 * each[..., :2] / each[..., 2:] + np.array(sizes[subject]) / 2]
                        for activity, each in actions.items()} for subject, actions in positions.items()}
    cameras = {subject: [{'width': width, 'height': height, 'focal_length': 1100, 'name': subject}]
               for subject, (width, height) in sizes.items()}
    (tmp_path / 'data').mkdir()
    write_npz('data/data_3d_tdhp.npz', positions_3d=positions, joints=skeleton.names, parents=skeleton.parents,
              joints_left=skeleton.left, joints_right=skeleton.right, cameras=json.dumps(cameras),
              test_subjects=[*sizes], pck_joints=COUNTED)
    write_npz('data/data_2d_tdhp_gt.npz', positions_2d=pixels)
    config = ModelConfig('gcn', hid_dim=16, num_layers=1)
    model, data = build_model(config, skeleton), Data(DataOptions('tdhp')).test()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        F.mse_loss(model(data.keypoints), data.positions).backward()
        optimizer.step()
    Checkpoint(1, 1e-3, 1, model.state_dict(), None, 0.0, config).save('model.pth.tar')
    return tmp_path


def test_pck_auc_and_mpjpe_are_those_of_the_predictions(folder, script):
    status, out, err = script(main_gcn.main, '-d', 'tdhp', '--evaluate', 'model.pth.tar', '--device', 'cpu', '--report',
                              'r.json', '--by', 'joint', 'camera', '--predictions', 'p.npz')
    assert status == 0, err
    report, arrays = json.loads((folder / 'r.json').read_text()), np.load('p.npz')
    errors = 1000 * np.linalg.norm(arrays['predicted'].astype(float) - arrays['true'], axis=-1)
    counted = np.isin(arrays['joints'], COUNTED)
    assert list(report['per_action']) == ['Standing', 'Sports']
    for activity, found in {**report['per_action'], '': report['pose_wise_average']}.items():
        some = errors[[action.startswith(activity) for action in arrays['action']]]
        inside = [100 * (some[:, counted] < threshold).mean() for threshold in range(0, 151, 5)]
        assert 1 < found['pck_150_percent'] < 99
        assert found['pck_150_percent'] == pytest.approx(inside[-1], abs=1e-9)
        assert found['auc_percent'] == pytest.approx(sum(inside) / 31, abs=1e-9)
        assert found['mpjpe_mm'] == pytest.approx(some.mean(), abs=1e-9)
    assert report['pck_joints'] == COUNTED and arrays['frame'].max() == 19

    lines = out.splitlines()
    assert 'multiply-adds a pose' in lines[0] and lines[-1].startswith('Protocol #2')
    pck = report['pose_wise_average']['pck_150_percent']
    assert f'All poses: PCK {pck:.2f} % at 150 mm' in out and 'count 14 joints: RHip, RKnee' in out
    standing = next(line for line in lines if line.startswith('Standing')).split()
    assert standing[1] == '80' and standing[4] == f'{report["per_action"]["Standing"]["pck_150_percent"]:.2f}'
    assert any(line.split()[:2] == ['LWrist', f'{report["per_joint"]["LWrist"]["mpjpe_mm"]:.2f}'] for line in lines)
    assert any(line.startswith('TS5  ') for line in lines) and list(report['per_camera']) == ['TS1', 'TS5']
