"""Windows of frames are windows in time: neighbours come from the full rate, or the one frame is repeated."""

import numpy as np
import pytest
import torch

from common.datasets import cache as pose_cache
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualCameras, VirtualSamples
from common.geometry.person import person_input, person_windows, window_stride
from tests.helpers.make_datasets import walkers, write_set


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pose_cache, 'SMALL', 0)
    monkeypatch.setattr(pose_cache, 'SETTLED', 0)
    write_set(tmp_path, 'own', walkers(), fps=np.array(25))
    return str(tmp_path)


@pytest.mark.parametrize('step', [2, 7, 30])
def test_the_windows_of_every_nth_frame_are_those_of_all_frames(folder, step):
    every = Data(DataOptions('own', data_dir=folder)).test()
    chosen = every.numbers % step == 0
    expected = every.as_person(5, 25).keypoints[chosen]
    for _ in range(2):  # made, then from the cache
        data = Data(DataOptions('own', data_dir=folder, downsample=step))
        poses = data.test()
        assert torch.equal(poses.keypoints, every.keypoints[chosen]) and data.fps == 25
        assert torch.equal(poses.as_person(5, data.fps).keypoints, expected)


@pytest.mark.parametrize('step', [3, 10])
def test_virtual_cameras_see_the_windows_of_the_full_rate(folder, step):
    every, some = (Data(DataOptions('own', data_dir=folder, downsample=each)) for each in (1, step))
    places = (every.train().numbers % step == 0).nonzero().squeeze(1)
    drawn = []
    for data, batch in ((every, places), (some, torch.arange(len(places)))):
        torch.manual_seed(0)
        drawn.append(VirtualSamples(data.train(), data.skeleton, 5, data.fps, VirtualCameras())(batch))
    for one, two in zip(*drawn, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize('fps, stride', [(50, 7), (30, 4), (10, 1), (5, 1), (2.5, 1), (2.4, 0), (1, 0)])
def test_the_stride_of_a_window(fps, stride):
    assert window_stride(fps) == stride


@pytest.mark.parametrize('fps', [1, 2])
def test_a_clip_of_few_frames_a_second_is_lifted_like_single_frames(fps):
    points = torch.randn(9, 16, 2)
    windows = person_windows(points, torch.arange(9), 0, 8, 5, fps)
    assert torch.equal(windows, person_input(points[:, None].expand(9, 5, 16, 2)))


def test_warnings_are_not_repeated_for_the_full_rate(folder, capsys):
    data = Data(DataOptions('own', data_dir=folder, downsample=5, test_subjects=('S1',)))
    data.test().as_person(5, data.fps)
    assert len(capsys.readouterr().err.splitlines()) == 1
