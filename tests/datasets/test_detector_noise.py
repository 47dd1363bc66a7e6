"""Detectors as training imitates them: joints as lifting derives them, errors of the stated size, hidden joints."""

import numpy as np
import pytest
import torch

from common.datasets.virtual.detector_noise import (
    EARS,
    EYES,
    NECK,
    NOSE,
    SIMULATED_LAYOUTS,
    TOP,
    detector_joints,
    detector_points,
    hidden_points,
    noisy,
)
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, to_h36m
from tests.helpers.make_detections import demo_person

CPU = torch.device('cpu')
OWN = {'hip': body.HIP, 'thorax': body.THORAX, 'neck': body.THORAX, 'head': TOP, 'left_eye': EYES, 'right_eye': EYES,
       'left_ear': EARS, 'right_ear': EARS, 'nose': NOSE}  # the point that each joint of a detector's middle is made of


@pytest.fixture(scope='module')
def points():
    """(12, 3, 21, 2) of the demo, seen from the front, y down."""
    torch.manual_seed(0)
    poses = torch.from_numpy(demo_person()['Walking'][:36].copy()).view(12, 3, 16, 3)
    return detector_points(poses)[..., [0, 2]] * torch.tensor([1.0, -1.0])


@pytest.mark.parametrize('layout', SIMULATED_LAYOUTS)
def test_joints_are_derived_as_lifting_derives_them(points, layout):
    torch.manual_seed(1)
    image, hidden = noisy(points, 0.05), hidden_points(12, 3, 1.0, CPU)
    names = LAYOUTS[layout].joint_names
    own = {**dict(zip(LAYOUTS['h36m16'].joint_names, range(16))), **OWN,
           **({'neck': NECK} if layout == 'body25' else {})}
    joints = np.full((12, 3, len(names), 2), np.nan)
    for index, name in enumerate(names):
        if name in own:
            joints[..., index, :] = torch.where(hidden[..., own[name], None], torch.nan, image[..., own[name], :])
    expected, _ = to_h36m(joints, np.ones(joints.shape[:-1]), LAYOUTS[layout])
    keypoints, visible = detector_joints(image, hidden, torch.full((12,), SIMULATED_LAYOUTS.index(layout)))
    np.testing.assert_array_equal(visible, np.isfinite(expected).all(-1))
    np.testing.assert_allclose(keypoints[visible], expected[visible], atol=1e-5)


def test_errors_have_the_size_and_last(points):
    torch.manual_seed(2)
    many = points[:1, :1].expand(4000, 5, -1, -1)
    errors = noisy(many, 0.03) - many
    joints = many[0, 0, :16]
    spread = (joints - joints.mean(0)).square().sum(-1).mean().sqrt()
    deviation = errors.square().mean((1, 3)).sqrt() / spread                           # of each point of each sample
    assert deviation.square().mean().sqrt() == pytest.approx(0.03 * np.exp(0.7 ** 2), rel=0.1)
    assert deviation.quantile(0.99) > 3 * deviation.median()                           # a heavy tail
    first, last = errors[:, 0].flatten(), errors[:, 4].flatten()
    assert (first * last).mean() / errors.square().mean() == pytest.approx(0.6, abs=0.06)


def test_the_stated_share_of_samples_has_hidden_joints():
    torch.manual_seed(3)
    hidden = hidden_points(20_000, 5, 0.35, CPU)
    assert 0.2 < hidden[..., :16].any(-1).any(-1).float().mean() < 0.35
    assert not hidden_points(100, 5, 0.0, CPU).any()
    lost = hidden[:, 2, :16].sum(1)
    assert {1, 2, 3, 4} <= set(lost.tolist()) and lost.max() < 16
    assert hidden[:, 2, body.FEET].all(1).float().mean() > 0.05                           # both feet, as in close shots


def test_the_face_looks_ahead_more_or_less():
    torch.manual_seed(4)
    poses = torch.from_numpy(demo_person()['Walking'][:1].copy()).expand(2000, -1, -1).unsqueeze(1)
    points = detector_points(poses)
    nose = points[:, 0, NOSE] - poses[:, 0, body.HEAD]
    across = poses[:, 0, body.LEFT_SHOULDER] - poses[:, 0, body.RIGHT_SHOULDER]
    up = poses[:, 0, body.HEAD] - poses[:, 0, body.THORAX]
    ahead = torch.cosine_similarity(nose, torch.linalg.cross(across, up))
    assert ahead.median() > 0.5 and 0.01 < (ahead < 0).float().mean() < 0.2
    assert (points[:, 0, NOSE] - points[:, 0, TOP]).norm(dim=1).median() < 0.25
