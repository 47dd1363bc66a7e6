"""How often is a layout, a pose that is not human, or a left/right swap in a detector's file decided wrongly?

    python -m experiments.detector_decisions free_mocap.npz

The file has `positions` (N, 16, 3) in metres, z up, `clip` (N,) and `names`. Conclusions:
docs/measurements/detector_decisions.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import numpy as np

from common.errors import run_script
from common.files.npz import read_npz
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, to_h36m
from common.lifting.plausibility import faults_2d, faults_3d, most_human
from common.lifting.tracks import swaps
from common.lifting.tracks.tracking import Track
from experiments.layouts import spread, with_face

READINGS = [('h36m16', 'mpii16'), ('coco17', 'h36m17'), ('body25', 'body25b')]
DANCERS = ('cmu_060', 'cmu_061')
LONGEST = 900  # frames
DISTANCE, FOCAL = 4.5, 800.0  # metres, pixels


def seen_by_camera(poses: np.ndarray, rng: np.random.Generator, noise: float = 0.0) -> np.ndarray:
    """(T, J, 2) pixels of people (T, J, 3), z up, in a random camera that points at their first position.

    Args:
        noise: standard deviation, in heights of the person.
    """
    heading, pitch = rng.uniform(0, 2 * math.pi), rng.normal(8, 10) * math.pi / 180
    poses = poses - poses[:1, :1] * (1, 1, 0) - (0, 0, 1)
    turn = np.array([[math.cos(heading), -math.sin(heading), 0], [math.sin(heading), math.cos(heading), 0], [0, 0, 1]])
    x, ahead, up = np.moveaxis(poses @ turn.T, -1, 0)
    depth = np.maximum(ahead * math.cos(pitch) - up * math.sin(pitch) + DISTANCE, 0.7)
    down = -up * math.cos(pitch) - ahead * math.sin(pitch)
    seen = 500 + FOCAL * np.stack([x, down], axis=-1) / depth[..., None]
    return seen + rng.normal(0, noise * np.ptp(seen[..., 1], axis=1).mean(), seen.shape)


def with_feet(joints: np.ndarray, poses: np.ndarray, name: str) -> np.ndarray:
    """Keypoints whose toes and heels are placed at the feet."""
    for place, joint in enumerate(LAYOUTS[name].joint_names):
        if joint.endswith(('toe', 'heel')):
            joints[:, place] = poses[:, body.LEFT_FOOT if joint.startswith('left') else body.RIGHT_FOOT] + (10.0, 10.0)
    return joints


def report_layouts(clips: list[np.ndarray], rng: np.random.Generator) -> None:
    for frames in (60, 5, 1):
        right = wrong = unclear = 0
        for poses in clips:
            first = rng.integers(max(1, len(poses) - 3 * frames))
            seen = seen_by_camera(with_face(poses[first:first + 3 * frames:3]), rng, rng.choice([0.0, 0.01]))
            for pair in READINGS:
                for name in pair:
                    joints = with_feet(spread(seen, name), seen, name)
                    found, clear = most_human({other: to_h36m(joints, np.ones(joints.shape[:2]), LAYOUTS[other])[0]
                                               for other in pair})
                    right += clear and found == name
                    wrong += clear and found != name
                    unclear += not clear
        print(f'layouts, {frames} frames: {right} right, {wrong} wrong, {unclear} not clear')


def report_humans(clips: list[np.ndarray], rng: np.random.Generator) -> None:
    flat = sum(bool(faults_2d(seen_by_camera(poses[::3], rng))) for poses in clips)
    solid = sum(bool(faults_3d(poses[::3][..., [0, 2, 1]] * (1, -1, 1))) for poses in clips)
    print(f'of {len(clips)} clips called not human: {flat} in 2D, {solid} in 3D')


def track_of(keypoints: np.ndarray) -> Track:
    count = len(keypoints)
    return Track('0', np.arange(count), keypoints.copy(), np.ones((count, body.JOINTS)),
                 np.zeros((count, body.JOINTS), bool), np.zeros((count, 2), bool))


def report_swaps(what: str, clips: Iterable[np.ndarray], rng: np.random.Generator) -> None:
    views = [seen_by_camera(poses[:LONGEST], rng, 0.005) for poses in clips]
    for every in (1, 3, 5, 10, 15):
        frames = exchanged = swapped = found = wrongly = 0
        for view in (view[::every] for view in views if len(view) >= swaps.FEWEST_FRAMES * every):
            track = track_of(view)
            swaps.fix_swaps(track)
            frames, exchanged = frames + len(view), exchanged + int(track.swapped.any(1).sum())
            length = 12 // every
            if every <= 3 and len(view) > 40:
                first = rng.integers(5, len(view) - 20)
                right, left = (list(side) for side in zip(*(body.LEGS, body.ARMS)[rng.integers(2)]))
                rows = np.arange(first, first + length)[:, None]
                damaged = track_of(view)
                damaged.keypoints[rows, right + left] = damaged.keypoints[rows, left + right]
                swaps.fix_swaps(damaged)
                inside = damaged.swapped[first:first + length].any(1).sum()
                swapped, found = swapped + length, found + int(inside)
                wrongly += int(damaged.swapped.any(1).sum() - inside)
        print(f'{what}, every {every}: {exchanged} of {frames} exchanged wrongly; swapped {swapped}, found {found}, '
              f'others {wrongly}')


def main() -> None:
    entries = read_npz(sys.argv[1], ('positions', 'clip', 'names'))
    positions, clip = entries['positions'].astype(np.float64), entries['clip']
    clips = [positions[clip == index] for index in range(len(entries['names']))]
    dancers = [clip for clip, name in zip(clips, entries['names']) if name.startswith(DANCERS)]
    others = [clip for clip, name in zip(clips, entries['names']) if not name.startswith(DANCERS)][::3]
    report_layouts(clips[::3], np.random.default_rng(0))
    report_humans(clips, np.random.default_rng(0))
    for cost, limit in ((swaps.UNRULY_COST, swaps.UNRULY_LIMIT), (0.0, np.inf)):
        swaps.UNRULY_COST, swaps.UNRULY_LIMIT = cost, limit
        print(f'swaps, cost of unruly motion {cost:g}')
        report_swaps('dancers', dancers, np.random.default_rng(0))
        report_swaps('others', others, np.random.default_rng(0))


if __name__ == '__main__':
    run_script(main)
