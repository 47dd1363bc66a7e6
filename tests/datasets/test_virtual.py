"""Samples for the wild: windows of one clip, the same under one seed, each ingredient with an effect of its own."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.datasets import h36m
from common.datasets.poses import Poses, PoseSequence
from common.datasets.virtual.samples import VirtualCameras, VirtualSamples
from common.geometry import body
from common.geometry.camera import Camera, world_to_camera
from common.geometry.person import HIDDEN, person_input, window_frames
from common.training.recipe import RECIPES
from tests.helpers.make_detections import demo_person

CLIPS = ('Walking', 'Sitting')
STILL = VirtualCameras(pitch=0, layout=0)
RECIPE = VirtualCameras(**{part.name: RECIPES['wild']['gcn'][part.name] for part in fields(VirtualCameras)
                           if part.name != 'layout'})


def sequences(counts):
    return [PoseSequence('S9', name, '0', count, 1) for name, count in zip(CLIPS, counts.tolist())]


def make_samples(wild=STILL, window=5):
    """Of two clips of the demo, one after the other, at 30 frames a second."""
    takes = [torch.from_numpy(demo_person()[name].copy()) for name in CLIPS]
    counts = torch.tensor([len(take) for take in takes])
    turn, place = np.array([0.5, -0.5, 0.5, 0.5]), np.array([1.0, 2.0, 3.0])
    camera = Camera(turn, place, np.ones(2), np.zeros(2), np.zeros(3), np.zeros(2), 1, 1)
    seen = torch.from_numpy(np.concatenate([world_to_camera(take.numpy(), camera) for take in takes]))
    zeros = torch.zeros(len(seen), dtype=torch.long)
    poses = Poses(seen[..., :2], seen - seen[:, :1], seen[:, 0], zeros, zeros,
                  kind_names=['Walking'], cameras=[camera], sequences=sequences(counts))
    torch.testing.assert_close(poses.world(), torch.cat(takes), atol=1e-5, rtol=0)
    return VirtualSamples(poses, h36m.skeleton(), window, 30, wild), F.pad(counts.cumsum(0), (1, 0))


def test_shapes_and_targets():
    samples, bounds = make_samples(RECIPE)
    torch.manual_seed(0)
    batch = torch.randint(int(bounds[-1]), (64,))
    keypoints, positions = samples(batch)
    assert keypoints.shape == (64, 16, 10) and positions.shape == (64, 16, 3)
    assert keypoints.dtype == positions.dtype == torch.float32 and keypoints.isfinite().all()
    assert (positions[:, 0] == 0).all()


def test_no_sample_loses_the_size_of_the_person():
    """A person of whom one joint is visible has no spread to be divided by; inputs would be as large as 1e6."""
    samples, bounds = make_samples(replace(RECIPE, hide=1.0))
    torch.manual_seed(10)
    assert max(float(samples(torch.randint(int(bounds[-1]), (2000,)))[0].abs().max()) for _ in range(5)) < 100


def test_one_seed_gives_the_same_samples():
    samples, _ = make_samples(RECIPE)
    batch, drawn = torch.arange(30), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        drawn.append(samples(batch))
    assert all(torch.equal(one, other) for one, other in zip(drawn[0], drawn[1]))
    assert not torch.equal(drawn[0][0], drawn[2][0])


def test_windows_are_frames_of_one_clip_and_repeat_at_its_ends():
    samples, bounds = make_samples()
    first, inside = int(bounds[1]), int(bounds[1]) + 12
    torch.manual_seed(1)
    frames = samples.draw(torch.tensor([first, first, inside]))[0]                     # (3, 5, 16, 2)
    assert (frames[:2, 0] == frames[:2, 2]).all() and (frames[:2, 1] == frames[:2, 2]).all()
    assert not torch.equal(frames[0, 3], frames[0, 2])
    assert len({tuple(frame.flatten().tolist()) for frame in frames[2]}) == 5


def test_a_share_of_the_windows_has_frames_of_any_distance(monkeypatch):
    samples, bounds = make_samples(replace(STILL, rates=0.3))
    strides = []

    def record(frames, first, last, window, stride):
        strides.append(stride)
        return window_frames(frames, first, last, window, stride)

    monkeypatch.setattr('common.datasets.virtual.samples.window_frames', record)
    torch.manual_seed(8)
    assert samples.draw(torch.full((4000,), int(bounds[1]) + 12))[0].isfinite().all()
    stride = strides[0].flatten()
    assert set(range(1, 25)) <= set(stride.tolist()) and stride.min() == 1 and stride.max() == 24
    assert 0.65 < (stride == 4).float().mean() < 0.8                                   # of those at random some are 4


def test_clips_are_drawn_by_their_novelty():
    samples, bounds = make_samples(replace(STILL, novelty=1.0))
    novelty = torch.tensor([0.02, 0.06]).repeat_interleave(bounds.diff())
    samples.chances = (novelty / novelty.sum()).cumsum(0, dtype=torch.float64)
    drawn = []
    samples.draw = lambda batch: drawn.append(batch) or (torch.zeros(1, 1, 16, 2), None, None, None)
    torch.manual_seed(9)
    samples(torch.zeros(20_000, dtype=torch.long))
    counts = torch.bincount(drawn[0], minlength=int(bounds[-1])).float()
    first, second = counts[:bounds[1]].mean(), counts[bounds[1]:].mean()
    assert second / first == pytest.approx(3, rel=0.1) and counts.min() > 0


def test_a_share_of_the_windows_repeats_one_frame():
    samples, bounds = make_samples(replace(RECIPE, repeat=0.25, hide=1.0))
    torch.manual_seed(2)
    frames = samples(torch.full((2000,), int(bounds[1]) + 12))[0].unflatten(2, (5, 2))
    repeated = (frames == frames[:, :, 2:3]).flatten(1).all(1).float().mean()
    assert repeated == pytest.approx(0.25, abs=0.04)


def test_without_changes_the_target_is_the_pose_as_the_camera_sees_it():
    samples, bounds = make_samples()
    torch.manual_seed(3)
    batch = torch.randint(int(bounds[-1]), (64,))
    _, _, positions, distance = samples.draw(batch)
    world = samples.world[batch] - samples.world[batch, :1]
    kept = [joint for joint in range(16) if joint not in (body.SPINE, body.THORAX, body.HEAD)]
    world, positions = world[:, kept], positions[:, kept]
    torch.testing.assert_close(positions @ positions.transpose(1, 2), world @ world.transpose(1, 2), atol=1e-4, rtol=0)
    shoulder, foot = kept.index(body.LEFT_SHOULDER), body.RIGHT_FOOT
    assert (positions[:, shoulder, 1] < positions[:, foot, 1]).float().mean() > 0.95  # y points down
    assert distance.min() >= 2


@pytest.mark.parametrize('ingredient', [{'bones': 0.1}, {'turn': 1.0}, {'pitch': 20.0}, {'detector_noise': 0.03},
                                        {'hide': 1.0}, {'flip': True}, {'layout': None}, {'novelty': 1.0},
                                        {'extreme_views': 1.0}, {'detector_faults': 1.0}, {'rates': 1.0},
                                        {'limbs': 1.0}])
def test_each_ingredient_changes_the_samples(ingredient):
    batch = torch.arange(30)
    plain, changed = make_samples()[0], make_samples(VirtualCameras(**{**vars(STILL), **ingredient}))[0]
    torch.manual_seed(4)
    expected = plain(batch)
    torch.manual_seed(4)
    given = changed(batch)
    assert not torch.equal(given[0], expected[0])
    marked = (given[0].unflatten(2, (5, 2)) == torch.tensor(HIDDEN)).all(-1)
    assert bool(marked.any()) == ('hide' in ingredient)


def test_poses_become_windows_of_persons():
    takes = [torch.from_numpy(demo_person()[name].copy()) for name in CLIPS]
    bounds = make_samples()[1]
    zeros = torch.zeros(int(bounds[-1]), dtype=torch.long)
    keypoints = torch.cat(takes)[..., [0, 2]]
    poses = Poses(keypoints, torch.cat(takes), torch.zeros(len(zeros), 3), zeros, zeros,
                  kind_names=['Walking'], cameras=[], sequences=sequences(bounds.diff()))
    given = poses.as_person(5, 60).keypoints                                           # 8 frames from one to the next
    for clip, frame in ((0, 0), (0, 20), (1, 30)):
        numbers = np.clip(np.arange(-16, 17, 8) + frame, 0, len(takes[clip]) - 1)
        expected = person_input(takes[clip][numbers][..., [0, 2]])
        torch.testing.assert_close(given[bounds[clip] + frame], expected)
