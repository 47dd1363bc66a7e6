"""The person as a network's input: independent of place and size, whole windows together, hidden joints marked."""

import pytest
import torch

from common.geometry.person import HIDDEN, person_input
from tests.helpers.make_detections import demo_walking


@pytest.fixture(scope='module')
def windows():
    """(7, 5, 16, 2) pixels."""
    return torch.from_numpy(demo_walking()[:35].reshape(7, 5, 16, 2)).float()


def test_place_and_size_in_the_image_do_not_matter(windows):
    expected = person_input(windows)
    assert expected.shape == (7, 16, 10)
    moved = windows * torch.rand(7, 1, 1, 1).add(0.1) + torch.rand(7, 1, 1, 2) * 1000
    torch.testing.assert_close(person_input(moved), expected, atol=2e-4, rtol=0)


def test_a_window_keeps_its_motion(windows):
    frames = person_input(windows).unflatten(2, (5, 2)).transpose(1, 2)                # (7, 5, 16, 2)
    assert (frames[:, 2, 0] == 0).all()                                                # the hip of the middle frame
    scale = (windows[:, 2, 9] - windows[:, 2, 3]).norm(dim=1) / (frames[:, 2, 9] - frames[:, 2, 3]).norm(dim=1)
    torch.testing.assert_close(frames * scale.view(-1, 1, 1, 1), windows - windows[:, 2:3, :1], atol=1e-2, rtol=0)
    spread = (frames - frames.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt()
    torch.testing.assert_close(spread, torch.ones(7))


def test_hidden_joints_change_nothing_but_the_scale(windows):
    visible = torch.ones(7, 5, 16, dtype=torch.bool)
    visible[:, :, 12] = visible[3, 1, 9] = False
    given = person_input(torch.where(visible.unsqueeze(-1), windows, torch.nan))
    torch.testing.assert_close(given, person_input(torch.where(visible.unsqueeze(-1), windows, 1e4), visible))
    frames = given.unflatten(2, (5, 2)).transpose(1, 2)
    assert (frames[~visible] == torch.tensor(HIDDEN)).all()
    whole = person_input(windows).unflatten(2, (5, 2)).transpose(1, 2)
    ratio = frames[visible] / whole[visible]
    assert ratio[ratio.isfinite()].min() > 0.8 and ratio[ratio.isfinite()].max() < 1.25


def test_without_a_hip_the_visible_joints_are_the_centre(windows):
    visible = torch.ones(7, 5, 16, dtype=torch.bool)
    visible[:, 2, 0] = False
    middle = person_input(windows, visible).unflatten(2, (5, 2))[:, 1:, 2]             # (7, 15, 2)
    torch.testing.assert_close(middle.mean(1), torch.zeros(7, 2), atol=1e-5, rtol=0)


def test_a_person_who_is_not_there_or_a_point_gives_numbers():
    for keypoints in (torch.full((1, 16, 2), torch.nan), torch.full((1, 16, 2), 7.0)):
        assert person_input(keypoints).isfinite().all()
