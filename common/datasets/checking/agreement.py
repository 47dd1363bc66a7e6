"""Whether 2D shows its 3D: every sequence of every camera by itself, because a median over several hides a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.datasets.mocap import Keypoints, MocapDataset
from common.errors import UserError, listing, warn
from common.geometry.camera import Camera, project, world_to_camera
from common.geometry.skeleton import Skeleton

# Median distance between the joints and the projected 3D, relative to the size of the pose: below 0.05 in correct
# files, 0.13 and more with exchanged sides, 0.18 and more with other orders or other cameras.
MAX_DISTANCE = 0.12
NOT_SHOWN = 0.25  # of a sequence that nothing explains: it is something else, not a detector in difficulties
NEAR = 0.1  # metres: positions this close to the camera are relative to the root, not in camera coordinates
FRAMES = 32  # frames of a sequence that are compared, at most
LAGS = 12  # frames by which the 2D may be late or early
FEWEST = 6  # frames in which a lag can be seen
OUTLIER = 0.3  # a larger distance counts as this one
# A lag is certain if it explains most of the distance, and the rest of it is as large as this, in pose sizes.
LARGE_LAG, OF_NOISY = 0.025, 0.5
SMALL_LAG, OF_EXACT = 0.004, 0.02
EXCHANGED, OF_EXCHANGED = 0.01, 0.7  # the same for exchanged sides


@dataclass(frozen=True)
class View:
    """A sequence seen by a camera: 2D (T, J, 2), 3D (T, J, 3), and the frames that are compared."""

    subject: str
    action: str
    index: int
    camera: Camera
    keypoints: np.ndarray
    world: np.ndarray
    frames: np.ndarray

    @property
    def name(self) -> str:
        return f'{self.subject} {self.action} in camera {self.index}'


def check_agreement(path: str, dataset: MocapDataset, keypoints: Keypoints) -> None:
    """Refuse 2D of which a sequence shows other sides, another camera or other frames than its 3D.

    Sequences that show the right pose at another place, and such that are only inaccurate, are warned of.

    Raises:
        UserError: the sentence names the sequences, and the reason where there is one.
    """
    bad, doubtful, count = [], [], 0
    for view in _views(dataset, keypoints):
        count += 1
        expected = expected_keypoints(view.world[view.frames], view.camera)
        given = view.keypoints[view.frames]
        distance = distance_of(given, expected, view.camera)
        if np.isnan(distance):
            continue
        reason = _exchanged(given, expected, view.camera, dataset.skeleton, distance) or _lag(view, expected)
        if not reason and distance > MAX_DISTANCE:
            reason = _other_camera(view, given, dataset, distance)
            if not reason and _relative(given, expected) < MAX_DISTANCE / 2 and view.camera.is_calibrated:
                doubtful.append(f'{view.name} (the pose is right, its place is {distance:.0%} of its size away)')
                continue
            if not reason and distance <= NOT_SHOWN:
                doubtful.append(f'{view.name} ({distance:.0%} of the size of the pose)')
                continue
            reason = reason or f'its joints are {distance:.0%} of the size of the pose away'
        if reason:
            bad.append(f'{view.name} ({reason})')
    if bad:
        raise UserError(f'{path}: {len(bad)} of {count} sequences do not show their 3D: {listing(bad, 5, 150)}; write '
                        f'their 2D again, or leave them out of the file.')
    if doubtful:
        warn(f'{path}: the 2D of {len(doubtful)} of {count} sequences is far from the projected 3D: '
             f'{listing(doubtful, 5, 150)}.')


def expected_keypoints(world: np.ndarray, camera: Camera) -> np.ndarray:
    """(T, J, 2) where a camera sees (T, J, 3); up to place and size if only the size of its image is known."""
    in_camera = world_to_camera(world, camera)
    with np.errstate(divide='ignore', invalid='ignore'):
        if camera.is_calibrated:
            return project(in_camera, camera)
        far = in_camera[..., 2].min(1) > NEAR
        return np.where(far[:, None, None], in_camera[..., :2] / in_camera[..., 2:], in_camera[..., :2])


def distances(given: np.ndarray, expected: np.ndarray, camera: Camera) -> np.ndarray:
    """(...) mean of `joint_distances` over the joints of each pose; NaN where most joints are missing."""
    off = joint_distances(given, expected, camera)
    known = np.isfinite(off)
    count = known.sum(-1)
    mean = np.where(known, off, 0).sum(-1) / np.maximum(count, 1)
    return np.where(count * 2 >= known.shape[-1], mean, np.nan)


def joint_distances(given: np.ndarray, expected: np.ndarray, camera: Camera) -> np.ndarray:
    """(..., J) distance between the joints (..., J, 2) of two poses, in pose sizes; NaN where a joint is missing.

    For the image of an unknown lens, place and size are fitted first.
    """
    if not camera.is_calibrated:
        known = np.isfinite(given).all(-1) & np.isfinite(expected).all(-1)             # (..., J)
        count = np.maximum(known.sum(-1), 1)[..., None, None]
        given, expected = (np.where(known[..., None], points, np.nan) for points in (given, expected))
        given, expected = (points - np.nansum(points, -2, keepdims=True) / count for points in (given, expected))
        fit = np.maximum(np.nansum(expected * given, (-2, -1)), 0)
        expected = expected * (fit / np.maximum(np.nansum(expected ** 2, (-2, -1)), 1e-12))[..., None, None]
    size = pose_size(expected if camera.is_calibrated else given)
    return np.hypot(*np.moveaxis(given - expected, -1, 0)) / np.maximum(size, 1e-12)[..., None]


def distance_of(given: np.ndarray, expected: np.ndarray, camera: Camera) -> float:
    """Median of `distances` over the poses in which most joints are visible; NaN if there are none."""
    found = distances(given, expected, camera)
    return float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else np.nan


def exchanged_sides(skeleton: Skeleton) -> list[int]:
    """(J,) the joints with left and right exchanged."""
    order = list(range(len(skeleton)))
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        order[left], order[right] = right, left
    return order


def pose_size(points: np.ndarray) -> np.ndarray:
    """(...) the larger side of the box around the joints (..., J, 2) that are not NaN."""
    low, high = np.fmin.reduce(points, axis=-2), np.fmax.reduce(points, axis=-2)
    return np.nan_to_num(high - low).max(-1)


def _views(dataset: MocapDataset, keypoints: Keypoints) -> Iterator[View]:
    for subject, actions in keypoints.items():
        for action, views in actions.items():
            world = dataset.positions[subject][action]
            for index, (view, camera) in enumerate(zip(views, dataset.cameras[subject], strict=True)):
                length = min(len(view), len(world))
                frames = np.unique(np.linspace(0, length - 1, min(FRAMES, length)).round().astype(int))
                yield View(subject, action, index, camera, view[:length], world[:length], frames)


def _exchanged(given: np.ndarray, expected: np.ndarray, camera: Camera, skeleton: Skeleton, distance: float) -> str:
    mirrored = distance_of(given, expected[:, exchanged_sides(skeleton)], camera)
    return 'left and right are exchanged' if mirrored < OF_EXCHANGED * distance - EXCHANGED else ''


def _lag(view: View, expected: np.ndarray) -> str:
    """A sentence about the number of frames by which the 2D is late or early; '' where it is in time."""
    lags = np.array([0, *range(-LAGS, 0), *range(1, LAGS + 1)])
    frames = view.frames + lags[:, None]                                               # (L, F)
    inside = (frames >= 0) & (frames < len(view.keypoints))
    given = view.keypoints[frames.clip(0, len(view.keypoints) - 1)]
    now = distances(given[0], expected, view.camera)
    if not np.nanmean(now) >= SMALL_LAG:
        return ''
    found = np.minimum(distances(given[1:], expected, view.camera), OUTLIER) ** 2
    both = inside[1:] & np.isfinite(found) & np.isfinite(now)
    count = np.maximum(both.sum(1), 1)
    before = np.where(both, np.minimum(now, OUTLIER) ** 2, 0).sum(1) / count
    after = np.where(both, found, 0).sum(1) / count                                    # (L - 1,) mean squares
    gain, share = np.maximum(before - after, 0) ** 0.5, after / np.maximum(before, 1e-12)
    certain = ((gain > LARGE_LAG) & (share < OF_NOISY)) | ((gain > SMALL_LAG) & (share < OF_EXACT))
    certain &= both.sum(1) >= FEWEST
    if not certain.any():
        return ''
    lag = lags[1:][np.where(certain, share, np.inf).argmin()]
    return f'the 2D is {abs(lag)} frames {"late" if lag > 0 else "early"}'


def _other_camera(view: View, given: np.ndarray, dataset: MocapDataset, distance: float) -> str:
    for index, camera in enumerate(dataset.cameras[view.subject]):
        if index != view.index and distance_of(given, expected_keypoints(view.world[view.frames], camera),
                                               camera) < distance / 2:
            return f'it shows what camera {index} sees'
    return ''


def _relative(given: np.ndarray, expected: np.ndarray) -> float:
    """The distance between poses that are moved so that their roots are the same, in pose sizes."""
    known = np.isfinite(given).all((1, 2)) & np.isfinite(expected).all((1, 2))
    if not known.any():
        return np.inf
    given, expected = given[known], expected[known]
    off = np.linalg.norm((given - given[:, :1]) - (expected - expected[:, :1]), axis=2).mean(1)
    return float(np.median(off / np.maximum(np.ptp(expected, axis=1).max(1), 1e-12)))
