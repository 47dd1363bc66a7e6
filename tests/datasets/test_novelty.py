"""The novelty of clips: repetitions count little, rare poses much, whichever way the person faces."""

import numpy as np
import pytest
import torch

from common.datasets.virtual.cameras import about
from common.datasets.virtual.novelty import RANGE, clip_novelty, same_heading
from tests.helpers.make_detections import demo_person


def clips(*takes):
    """(N, 16, 3) of clips one after the other, and the first pose of each pose's clip."""
    counts = torch.tensor([len(take) for take in takes])
    ends = counts.cumsum(0)
    return torch.cat(takes), (ends - counts).repeat_interleave(counts)


@pytest.fixture(scope='module')
def walking():
    return torch.from_numpy(demo_person()['Walking'][:60].copy())


@pytest.mark.parametrize('turn, shift', [(0.0, 0.0), (2.0, 3.0), (-1.0, -2.0)])
def test_a_repetition_counts_least_and_a_handstand_most(walking, turn, shift):
    again = walking @ about(2, torch.tensor([turn]))[0].T + torch.tensor([shift, -shift, 0])
    handstand = walking * torch.tensor([1.0, -1, -1])
    novelty = clip_novelty(*clips(walking, again, handstand))
    torch.testing.assert_close(novelty, torch.tensor([RANGE[0], RANGE[0], RANGE[1]]).repeat_interleave(len(walking)))


def test_novelty_is_the_distance_to_the_nearest_pose_of_another_clip(walking):
    raised = walking.clone()
    raised[:, [11, 12, 14, 15], 2] += 0.1
    novelty = clip_novelty(*clips(walking[:5], raised[:5], walking[:3] * torch.tensor([1.0, -1, -1])))
    assert float(novelty[0]) == pytest.approx(0.1 * np.sqrt(4 / 16), rel=1e-3) and novelty[0] == novelty[5]


def test_a_single_clip_has_one_novelty(walking):
    assert len(clip_novelty(*clips(walking)).unique()) == 1
    assert len(clip_novelty(*clips(walking[:1])).unique()) == 1


def test_poses_face_one_way(walking):
    for angle in (0.0, 1.0, 3.0):
        turned = same_heading(walking @ about(2, torch.tensor([angle]))[0].T)
        torch.testing.assert_close(turned, same_heading(walking), atol=1e-5, rtol=0)
    assert turned[:, 4, 1].abs().max() < 0.05 and (turned[:, 4, 0] > 0).all()
