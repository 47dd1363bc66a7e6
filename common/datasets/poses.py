"""Poses as tensors: the 2D of every camera paired with the 3D in that camera's coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.datasets.mocap import Keypoints, MocapDataset, kind_of
from common.errors import UserError, listing, warn
from common.geometry.camera import Camera, world_to_camera
from common.geometry.person import person_ray, person_windows

Range = dict[str, list[float]]
RANGE_PERCENTILES = (1, 50, 99)
CHUNK = 1 << 14  # number of poses whose windows are in memory at a time
RANGE_POSES = 100_000  # number of poses that are measured, at most


class PoseSequence(NamedTuple):
    """The poses of an action seen by one camera: `frames` of every `step`-th frame.

    Frame k of the action is frame `first + spacing * k` of the video.
    """

    subject: str
    action: str
    camera: str
    frames: int
    step: int
    first: int = 0
    spacing: int = 1


@dataclass
class Poses:
    """Paired poses of many sequences and cameras, as tensors.

    Attributes:
        keypoints: (N, J, 2) float32, normalised image coordinates; NaN where a joint is missing.
        positions: (N, J, 3) float32, camera coordinates relative to the hip, metres.
        roots: (N, 3) float32, the hip in camera coordinates, metres.
        kinds: (N,) int64, index into `kind_names`.
        views: (N,) int64, index into `cameras`.
        numbers: (N,) int64, the frame of each pose in its action. By default every `step`-th frame from 0.
        kind_names: the kinds of action, in the order of tables.
        cameras: of all poses.
        sequences: the sequences of the poses, in order; empty if they are not known.
        centred: whether the keypoints are relative to the person, as `person_input` makes them.
        rays: (N, 2) of `person_ray`, by which predictions from centred keypoints are turned into the axes of the
            cameras; None where predictions are in the axes of `positions` already.
        whole: returns the poses of which these are a part, on the CPU: every frame of the same sequences. Neighbours in
            windows come from there. None where these are all.
    """

    keypoints: Tensor
    positions: Tensor
    roots: Tensor
    kinds: Tensor
    views: Tensor
    numbers: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    kind_names: list[str] = field(kw_only=True)
    cameras: list[Camera] = field(kw_only=True)
    sequences: list[PoseSequence] = field(kw_only=True, default_factory=list)
    centred: bool = field(kw_only=True, default=False)
    rays: Tensor | None = field(kw_only=True, default=None)
    whole: Callable[[], Poses] | None = field(kw_only=True, default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self):
            counted = [torch.arange(sequence.frames) * sequence.step for sequence in self.sequences]
            self.numbers = torch.cat(counted).to(self.views) if counted else torch.zeros_like(self.views)

    def __len__(self) -> int:
        return len(self.keypoints)

    def tensors(self) -> dict[str, Tensor]:
        """The attributes with one entry for each pose."""
        return {part.name: getattr(self, part.name) for part in fields(self) if not part.kw_only}

    def to(self, device: torch.device) -> Poses:
        """The same poses on a device."""
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in self.tensors().items()}
        return replace(self, **moved, rays=None if self.rays is None else self.rays.to(device))

    def select(self, chosen: Tensor) -> Poses:
        """Some of the poses.

        Args:
            chosen: (N,) bool.
        """
        counts = torch.bincount(self.sequence_of()[chosen], minlength=len(self.sequences)).tolist()
        parts: dict[str, Any] = {name: tensor[chosen] for name, tensor in self.tensors().items()}
        sequences = [sequence._replace(frames=count) for sequence, count in zip(self.sequences, counts)]
        return replace(self, **parts, sequences=sequences, whole=self.whole or (lambda: self))

    def centers(self) -> Tensor | None:
        """(N,) x of the principal point of each pose's camera, about which 2D is mirrored; None for `centred` poses."""
        if self.centred or not self.cameras:
            return None
        return self.keypoints.new_tensor([camera.center[0] for camera in self.cameras])[self.views]

    def sequence_of(self) -> Tensor:
        """(N,) index of each pose's sequence; empty if they are not known."""
        counts = torch.tensor([sequence.frames for sequence in self.sequences], device=self.views.device)
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    def video_frames(self) -> Tensor:
        """(N,) int64, the frame of the video that each pose shows, on the CPU."""
        first, spacing = (torch.tensor([getattr(sequence, name) for sequence in self.sequences])
                          for name in ('first', 'spacing'))
        sequence = self.sequence_of().cpu()
        return first[sequence] + spacing[sequence] * self.numbers.cpu()

    def follows(self) -> Tensor:
        """(N,) bool, whether a pose is the next frame, of those that are used, after the pose before it."""
        sequence, follows = self.sequence_of(), torch.zeros_like(self.views, dtype=torch.bool)
        if len(sequence):
            steps = torch.tensor([each.step for each in self.sequences], device=sequence.device)[sequence]
            follows[1:] = (sequence.diff() == 0) & (self.numbers.diff() == steps[1:])
        return follows

    def visible(self, fewest: float = 1.0) -> Tensor:
        """(N,) bool, whether at least this share of a pose's joints have 2D."""
        return self.keypoints.isfinite().all(-1).float().mean(1) >= fewest

    def behind(self) -> Tensor:
        """(N,) bool, whether a joint is not in front of the pose's camera; False where the camera is not calibrated."""
        known = torch.tensor([camera.is_calibrated for camera in self.cameras], device=self.views.device)
        return known[self.views] & (self.positions[..., 2] + self.roots[:, 2:] <= 0).any(1)

    def bounds(self, fewest: float = 0.0) -> tuple[Tensor, Tensor]:
        """First and last pose, (N,) each, of the run of consecutive frames in which each pose lies.

        Args:
            fewest: runs end, too, where a smaller share of the joints is visible.
        """
        follows = self.follows()
        if fewest:
            visible = self.visible(fewest)
            follows[1:] &= visible[1:] & visible[:-1]
        starts = (~follows).nonzero().squeeze(1)
        counts = torch.cat([starts, starts.new_tensor([len(self)])]).diff()
        return starts.repeat_interleave(counts), (starts + counts - 1).repeat_interleave(counts)

    def within(self) -> tuple[Poses, Tensor]:
        """The poses of which these are a part, on the same device, and the index of each of these among them, (N,)."""
        if self.whole is None:
            return self, torch.arange(len(self), device=self.views.device)
        whole = self.whole().to(self.views.device)
        place, mine = ((poses.sequence_of() << 40) + poses.numbers for poses in (whole, self))
        return whole, torch.searchsorted(place, mine)

    def world(self) -> Tensor:
        """(N, J, 3) world coordinates, metres."""
        positions = self.positions + self.roots.unsqueeze(1)
        for view, camera in enumerate(self.cameras):
            turn = torch.from_numpy(camera.rotation).to(positions)
            seen = self.views == view
            positions[seen] = positions[seen] @ turn.T + torch.from_numpy(camera.translation).to(positions)
        return positions

    def as_person(self, window: int, fps: float, fewest: float = 1.0) -> Poses:
        """The same poses with the windows of `person_input` as keypoints, (N, J, 2 W).

        Args:
            window: W, frames.
            fps: rate of the recordings, from which the neighbours of the poses come.
            fewest: share of the joints that are visible in the frames of a window, at least.
        """
        whole, places = self.within()
        first, last = whole.bounds(fewest)
        parts = [person_windows(whole.keypoints, batch, first[batch], last[batch], window, fps)
                 for batch in places.split(CHUNK)]
        rays = torch.empty_like(self.keypoints[:, 0])
        for view, camera in enumerate(self.cameras):
            mine = self.views == view
            rays[mine] = person_ray(camera.rays(self.keypoints[mine]))
        return replace(self, keypoints=torch.cat(parts), centred=True, rays=rays, whole=None)


def pair(dataset: MocapDataset, keypoints: Keypoints, subjects: Iterable[str], kinds: list[str],
         downsample: int = 1) -> Poses:
    """Pair the 2D of every camera with the 3D in that camera's coordinates, relative to the hip.

    Sequences whose 2D and 3D differ in length are cut to the shorter length; one warning counts them.

    Raises:
        UserError: no pose can be paired.
    """
    subjects = list(subjects)
    cameras: list[Camera] = []
    first: dict[str, int] = {}  # index of each subject's first camera
    for subject in subjects:
        first[subject] = len(cameras)
        cameras.extend(dataset.cameras[subject])
    parts, sequences, cut, without = [], [], [], []
    for subject, action in dataset.sequences(subjects, kinds):
        world, views = dataset.positions[subject][action], keypoints.get(subject, {}).get(action)
        if views is None:
            without.append(f'{subject} {action}')
            continue
        for index, view in enumerate(views, first[subject]):
            frames = min(len(view), len(world))
            if len(view) != len(world):
                cut.append(f'{subject} {action} camera {index - first[subject]} ({len(view)} and {len(world)})')
            positions = world_to_camera(world[:frames:downsample], cameras[index])
            parts.append((view[:frames:downsample], positions - positions[:, :1], positions[:, 0],
                          np.full(len(positions), kinds.index(kind_of(action))), np.full(len(positions), index),
                          np.arange(0, frames, downsample)))
            camera = cameras[index].name or f'camera {index - first[subject]}'
            numbering = dataset.frame_numbers.get(subject, {}).get(action, [0, 1])
            sequences.append(PoseSequence(subject, action, camera, len(positions), downsample, *numbering))
    if cut:
        warn(f'{len(cut)} sequences have different numbers of 2D and 3D frames and are cut to the shorter: '
             f'{listing(cut, 3)}.')
    if without:
        warn(f'{len(without)} sequences have no 2D and are left out: {listing(without, 3)}.')
    if not any(len(part[0]) for part in parts):
        raise UserError(f'{dataset.name} has no frames of {listing(subjects) or "any subject of this split"} in '
                        f'{listing(kinds) or "any action"}: nothing is left to work on.')
    tensors = [torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)]
    return Poses(*tensors, kind_names=kinds, cameras=cameras, sequences=sequences)


def measure_range(keypoints: np.ndarray) -> Range:
    """The place and size of poses in the image: percentiles 1, 50 and 99.

    Args:
        keypoints: (N, J, 2) normalised image coordinates; poses with missing joints do not count.
    Returns:
        {'height': of the box around the joints, 'hip_x' and 'hip_y': of the root}, three numbers each; {} without a
        complete pose.
    """
    some = keypoints[::max(len(keypoints) // RANGE_POSES, 1)]
    some = some[np.isfinite(some).all((1, 2))]
    if not len(some):
        return {}
    measured = {'height': np.ptp(some[..., 1], axis=1), 'hip_x': some[:, 0, 0], 'hip_y': some[:, 0, 1]}
    return {name: [round(float(value), 4) for value in np.percentile(values, RANGE_PERCENTILES)]
            for name, values in measured.items()}
