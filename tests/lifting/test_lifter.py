"""Lifter with networks that see the person: windows in time, hidden joints, people off the axis, live poses."""

import numpy as np
import pytest
import torch

from common import checkpoint
from common.datasets import h36m
from common.errors import UserError
from common.geometry.person import person_input, to_camera_axes
from common.lifting.lifter import Lifter
from common.lifting.motion.root import CameraView, rays
from models.config import ModelConfig, build_model
from tests.helpers.make_detections import demo_walking

SIZE, FPS = (1920, 1080), 30.0


@pytest.fixture
def lifter(tmp_path):
    def make(window=3, hide=0.35):
        torch.manual_seed(0)
        config = ModelConfig('gcn', hid_dim=8, num_layers=1, window=window)
        model = build_model(config, h36m.skeleton())
        path = str(tmp_path / 'm.pth.tar')
        checkpoint.Checkpoint(1, 1e-3, 1, model.state_dict(), None, 50.0, config, recipe={'hide': hide},
                              normalization='person').save(path)
        return Lifter(path)
    return make


@pytest.fixture(scope='module')
def walking():
    return demo_walking(2) + (900, 40)


def test_each_frame_has_the_window_around_it(lifter, walking):
    lift = lifter()
    made = lift(walking, SIZE, 'h36m16', fps=FPS)
    for frame in (0, 5, len(walking) - 1):
        window = walking[np.clip([frame - 4, frame, frame + 4], 0, len(walking) - 1)]
        inputs = person_input(torch.from_numpy(window[None].astype(np.float32)))
        answer = lift.model(inputs)[0].detach().numpy()
        ray = torch.from_numpy(rays(walking[frame, 0], CameraView(SIZE, float(np.hypot(*SIZE)))))
        turned = to_camera_axes(torch.from_numpy(answer - answer[0])[None], ray[None])[0]
        np.testing.assert_allclose(made[frame], turned, atol=1e-4)
    slower = lift(walking[::2], SIZE, 'h36m16', fps=FPS / 2)  # windows are chosen in time
    np.testing.assert_allclose(slower[4:-4], made[::2][4:-4], atol=1e-5)


def test_place_size_and_resolution_do_not_matter(lifter, walking):
    lift = lifter()
    middle = walking - walking[:, :1] + np.array(SIZE) / 2
    expected = lift(middle, SIZE, 'h36m16')
    np.testing.assert_allclose(lift(middle / 3, (640, 360), 'h36m16'), expected, atol=1e-4)
    np.testing.assert_allclose(lift((middle - middle[:, :1]) / 5 + middle[:, :1], SIZE, 'h36m16'), expected, atol=1e-4)


def test_hidden_joints_are_guessed_where_the_network_was_trained_for_it(lifter, walking):
    hidden = walking.copy()
    hidden[3:6, [2, 3]] = np.nan
    hidden[10, 0] = np.nan
    hidden[20, :9] = np.nan
    view = CameraView(SIZE, 2000.0, FPS)
    positions, guessed = lifter().lift_track(hidden, view)
    assert np.isnan(positions).all((1, 2)).nonzero()[0].tolist() == [20]
    assert guessed.sum() == 7 and guessed[3:6, [2, 3]].all() and guessed[10, 0]
    positions, guessed = lifter(hide=0.0).lift_track(hidden, view)
    assert np.isnan(positions).all((1, 2)).nonzero()[0].tolist() == [3, 4, 5, 10, 20] and not guessed.any()


def test_live_poses_are_smoothed_windows_of_the_past(lifter, walking):
    lift = lifter()
    live = lift.live(SIZE, 'h36m16', FPS)
    made = np.stack([live(pose) for pose in walking])
    np.testing.assert_allclose(made[0], lift(walking[0], SIZE, 'h36m16'), atol=1e-6)
    whole = lift(walking, SIZE, 'h36m16', fps=FPS)
    assert made.dtype == np.float32
    assert np.abs(np.diff(made, 2, axis=0)).mean() < np.abs(np.diff(whole, 2, axis=0)).mean()
    assert np.isnan(live(np.full((16, 2), np.nan))).all() and np.isfinite(live(walking[0])).all()


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr('common.lifting.lifter.DEFAULT_CHECKPOINT', str(tmp_path / 'semgcn_wild.pth.tar'))
    with pytest.raises(UserError, match='semgcn_wild'):
        Lifter()
