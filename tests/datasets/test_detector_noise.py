"""Detectors as training imitates them: joints as lifting derives them, errors of the stated size, hidden joints."""

import numpy as np
import pytest
import torch

from common.datasets.virtual.detector_noise import (
    EARS,
    EYES,
    FEWEST_VISIBLE,
    NECK,
    NOSE,
    SIMULATED_LAYOUTS,
    TOP,
    as_detectors_mean,
    beyond_edge,
    detector_joints,
    detector_points,
    faulty,
    hidden_points,
    noisy,
)
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, to_h36m
from tests.helpers.make_detections import demo_person

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
    image, hidden = noisy(points, 0.05), hidden_points(points, 1.0)
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


def test_the_stated_share_of_samples_has_hidden_joints(points):
    torch.manual_seed(3)
    many = points[:1, :1].expand(20_000, 5, -1, -1)
    hidden = hidden_points(many, 0.35)
    assert 0.2 < hidden[..., :16].any(-1).any(-1).float().mean() < 0.35
    assert not hidden_points(many, 0.0).any()
    lost = hidden[:, 2, :16].sum(1)
    assert {1, 2, 3, 4} <= set(lost.tolist()) and lost.max() <= 16 - FEWEST_VISIBLE
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


def test_targets_are_what_detectors_find():
    poses = torch.from_numpy(demo_person()['Walking'][:20].copy()).unsqueeze(1)
    points = detector_points(poses)
    joints = as_detectors_mean(points)
    shoulders = poses[..., body.SHOULDERS, :].mean(2)
    torch.testing.assert_close(joints[..., body.THORAX, :], shoulders)
    torch.testing.assert_close(joints[..., body.SPINE, :], (shoulders + poses[..., body.HIP, :]) / 2)
    torch.testing.assert_close(joints[..., body.HEAD, :], points[..., EARS, :])
    same = [joint for joint in range(16) if joint not in (body.SPINE, body.THORAX, body.HEAD)]
    assert torch.equal(joints[..., same, :], poses[..., same, :])


def test_an_edge_cuts_off_one_side_in_the_whole_window(points):
    torch.manual_seed(5)
    image = points[:1, :1].expand(4000, 5, -1, -1)
    hidden = beyond_edge(image)
    assert (hidden == hidden[:, :1]).all() and hidden[:, 0].any(1).float().mean() > 0.9
    assert 0.05 < hidden[:, 0].float().mean() < 0.5 and not hidden.all(2).any()
    lowest = image[0, 0, :, 1].argmax()                                                # y points down
    assert hidden[:, 0, lowest].float().mean() > 0.6
    for sample in range(200):                                                          # a straight line separates them
        cut, kept = (image[sample, 0, mask] for mask in (hidden[sample, 0], ~hidden[sample, 0]))
        assert not len(cut) or any((sign * cut[:, axis]).min() > (sign * kept[:, axis]).max()
                                   for axis in (0, 1) for sign in (-1, 1))


def test_faults_are_momentary_and_of_the_stated_share(points):
    torch.manual_seed(6)
    image = points[:1, :1].expand(6000, 5, -1, -1)
    changed = faulty(image, 0.25)
    moved = (changed - image).norm(dim=-1)                                             # (B, W, P)
    faults = moved.flatten(1).any(1)
    assert faults.float().mean() == pytest.approx(0.25, abs=0.03)
    assert (moved[faults][..., body.WRISTS + body.FEET] > 0).float().mean() > 0.95     # limbs end less precisely
    pair = list(body.KNEES)
    swapped = (changed[:, :, pair] == image[:, :, pair[::-1]]).all(-1).all(-1)         # (B, W): the legs are exchanged
    assert 0.1 < swapped[faults].any(1).float().mean() < 0.4 and swapped.sum(1).max() <= 2
    size = (image[0, 0, :16] - image[0, 0, :16].mean(0)).norm(dim=1).square().mean().sqrt()
    far = (moved[..., :16] > size).any(-1) & ~swapped                                  # a joint on somebody else
    assert far[faults].any(1).float().mean() > 0.1 and far[~faults].sum() == 0


def test_fast_limbs_have_larger_errors(points):
    torch.manual_seed(7)
    still = points[:1, :1].expand(4000, 3, -1, -1)
    moving = still + torch.arange(3.0).view(1, 3, 1, 1) * 0.3
    elbow = body.ELBOWS[0]
    errors = [(faulty(image, 1.0) - image)[:, :, elbow].norm(dim=-1).median() for image in (still, moving)]
    assert errors[0] == 0 and errors[1] > 0.01
    assert faulty(still[:, :1], 1.0).isfinite().all()                                  # a window of one frame
