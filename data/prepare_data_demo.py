"""Make data_3d_demo.npz: synthetic people who perform Human3.6M's fifteen kinds of action.

    python data/prepare_data_demo.py                      # data/data_3d_demo.npz, in a few seconds
    python data/prepare_data_demo.py --output demo.npz --force
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets.loading import source_paths
from common.errors import UserError, run_script
from common.files.npz import write_npz
from data.demo_motion import KINDS, MARGIN, act, smooth

OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data_3d_demo.npz')
SEED = 36
TAKES = 2
FRAMES = (34, 43)  # range of a take's length
DECIMALS = 5  # of metres: too small to see, and larger than the differences between machines
SEAT_HEIGHT = 0.42  # of a chair, with an average person on it; it is scaled with the person

# Height in metres, then the lengths of legs, arms, shoulders and hips relative to an average person of this height.
SUBJECTS = {
    'S1': (1.68, 1.00, 0.98, 0.96, 1.06),
    'S5': (1.56, 0.97, 0.97, 0.93, 1.08),
    'S6': (1.81, 1.01, 1.02, 1.08, 0.95),
    'S7': (1.72, 1.03, 0.99, 0.97, 1.04),
    'S8': (1.90, 1.03, 1.04, 1.07, 0.97),
    'S9': (1.77, 0.99, 1.01, 1.05, 0.98),
    'S11': (1.63, 1.01, 1.00, 0.95, 1.05),
}
AVERAGE_HEIGHT = 1.75

# An average body that stands upright with hanging arms, after the bones of Human3.6M's S1. {joint of the 32: (parent,
# offset from it in metres: forward, left, up)}. Left limbs mirror the right ones.
RIGHT_LIMBS = {
    1: (0, (0, -0.133, 0)), 2: (1, (0, 0, -0.443)), 3: (2, (0, 0, -0.454)),  # hip, knee, ankle
    4: (3, (0.145, -0.02, -0.07)), 5: (4, (0.073, 0, -0.005)),  # ball of the foot, toes
    25: (13, (0, -0.143, -0.045)), 26: (25, (0, 0, -0.279)), 27: (26, (0, 0, -0.252)),  # shoulder, elbow, wrist
    29: (27, (0.05, 0.02, -0.07)), 30: (27, (0, 0, -0.10)),  # thumb, fingers
}
MIDDLE = {12: (0, (0, 0, 0.233)), 13: (12, (0, 0, 0.257)), 14: (13, (0.05, 0, 0.11)), 15: (14, (-0.015, 0, 0.114))}
LEFT_OF = {1: 6, 2: 7, 3: 8, 4: 9, 5: 10, 25: 17, 26: 18, 27: 19, 29: 21, 30: 22}
DOUBLES = {11: 0, 16: 13, 24: 13, 20: 19, 23: 22, 28: 27, 31: 30}  # joints of the 32 that coincide with another joint

# Points on which the body can rest: offset from the first joint, in the frame of the bone that ends at the second.
CONTACTS = [(3, 4, (-0.05, 0, -0.075)), (4, 4, (0, 0, -0.01)), (5, 4, (0, 0, -0.01)),  # heel, ball and toes
            (2, 3, (0.045, 0, 0)), (1, 1, (-0.03, 0, -0.085))]  # kneecap, buttock
BUTTOCKS = [8, 9]  # among the contacts of both sides
CONTACT_SOFTNESS = 0.01  # metres

# The ground above which all cameras of all subjects see everything up to 2 m, n . (x, y) <= d, and the distribution of
# people over it, in metres.
AREA = np.array([(-1, 0, 1.2), (1, 0, 1.7), (-1, 1, 2.6), (1, 1, 2.9), (-1, -1, 1.4), (1, -1, 1.6)])
MIDDLE_OF_AREA, SPREAD = (0.2, 0.7), 0.4


def make_demo() -> dict[str, dict[str, np.ndarray]]:
    """Make the whole set, the same numbers each time.

    Returns:
        {subject: {action: (T, 32, 3) float32}}, world coordinates in metres, z up from the floor, 50 frames a second;
        seven subjects, fifteen kinds of action with two takes each (`Walking`, `Walking 1`).
    """
    demo: dict[str, dict[str, np.ndarray]] = {}
    for order, subject in enumerate(SUBJECTS):
        body = build_body(subject)
        demo[subject] = {}
        for number, kind in enumerate(KINDS):
            for take in range(TAKES):
                rng = np.random.default_rng([SEED, int(subject[1:]), number, take])
                demo[subject][f'{kind} {take}' if take else kind] = make_take(rng, body, kind, order * TAKES + take)
    return demo


@dataclass
class Body:
    """A subject's size relative to the average, and its bones: {joint: (parent, (3,) offset in metres)}."""

    scale: float
    bones: dict[int, tuple[int, np.ndarray]]


def build_body(subject: str) -> Body:
    """The body of one of `SUBJECTS`; in its bones parents come before children."""
    height, legs, arms, shoulders, hips = SUBJECTS[subject]
    factor = {1: hips, 2: legs, 3: legs, 25: shoulders, 26: arms, 27: arms}
    scale = height / AVERAGE_HEIGHT
    bones: dict[int, tuple[int, np.ndarray]] = {0: (0, np.zeros(3))}
    for joint, (parent, average) in {**MIDDLE, **RIGHT_LIMBS}.items():
        offset = scale * factor.get(joint, 1) * np.array(average)
        bones[joint] = parent, offset
        if joint in LEFT_OF:
            bones[LEFT_OF[joint]] = LEFT_OF.get(parent, parent), offset * (1, -1, 1)
    return Body(scale, bones)


def make_take(rng: np.random.Generator, body: Body, kind: str, variant: int) -> np.ndarray:
    """One sequence, (T, 32, 3) float32 in metres: the take number `variant` of a kind of action."""
    frames = int(rng.integers(*FRAMES)) + 2 * MARGIN
    angles, seated = act(rng, kind, variant, frames)
    positions, frame_of = pose_body(body, angles)
    positions += rest_on_ground(body, positions, frame_of, SEAT_HEIGHT if seated else 0.0)[:, None]
    positions = positions[MARGIN:-MARGIN]  # the smoothing needed frames on both sides
    positions[..., :2] += find_place(rng, positions)
    return positions.round(DECIMALS).astype(np.float32)


def pose_body(body: Body, angle: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[int, Rotation]]:
    """Forward kinematics with the hip at the origin; x is forward, y left and z up for a person of facing 0.

    Args:
        body: from `build_body`.
        angle: {name: (T,) degrees}, the angles of `data.demo_motion`.
    Returns:
        (T, 32, 3) metres, and {joint: the T frames of the bone that ends there}.
    """
    from scipy.spatial.transform import Rotation  # here, because every training imports this file: 0.3 s

    def turn(axes: str, *degrees: np.ndarray) -> Rotation:
        """Rotations one after the other, each about an axis that has turned with the ones before."""
        return Rotation.from_euler(axes, np.stack(degrees, axis=-1), degrees=True)

    frame_of = {0: turn('ZYX', angle['facing'], angle['pelvis_pitch'], angle['pelvis_roll'])}
    half_trunk = turn('YXZ', angle['trunk_flex'] / 2, angle['trunk_side'] / 2, angle['trunk_twist'] / 2)
    half_neck = turn('ZYX', angle['neck_twist'] / 2, angle['neck_flex'] / 2, angle['neck_side'] / 2)
    for joint, half in ((12, half_trunk), (13, half_trunk), (14, half_neck), (15, half_neck)):
        frame_of[joint] = frame_of[MIDDLE[joint][0]] * half
    for side, out, (hip, knee, ankle, ball, toes), (shoulder, elbow, wrist, thumb, fingers) in (
            ('r', -1, (1, 2, 3, 4, 5), (25, 26, 27, 29, 30)), ('l', 1, (6, 7, 8, 9, 10), (17, 18, 19, 21, 22))):
        thigh, arm = (turn('YXZ', -angle[f'{side}_{name}_flex'], out * angle[f'{side}_{name}_out'],
                           -out * angle[f'{side}_{name}_in']) for name in ('hip', 'shoulder'))
        frame_of[hip], frame_of[shoulder] = frame_of[0], frame_of[13]
        frame_of[knee] = frame_of[0] * thigh
        frame_of[ankle] = frame_of[knee] * turn('Y', angle[f'{side}_knee'])
        frame_of[ball] = frame_of[toes] = frame_of[ankle] * turn('Y', -angle[f'{side}_ankle'])
        frame_of[elbow] = frame_of[13] * arm
        frame_of[wrist] = frame_of[thumb] = frame_of[fingers] = frame_of[elbow] * turn('Y', -angle[f'{side}_elbow'])

    positions = np.zeros((len(angle['facing']), 32, 3))
    for joint, (parent, offset) in body.bones.items():
        positions[:, joint] = positions[:, parent] + frame_of[joint].apply(offset)
    positions[:, list(DOUBLES)] = positions[:, list(DOUBLES.values())]
    return positions, frame_of


def rest_on_ground(body: Body, positions: np.ndarray, frame_of: dict[int, Rotation], seat: float) -> np.ndarray:
    """The place of the hip, (T, 3) metres, with which the body rests on the floor or a seat and does not slide there.

    The lowest of feet, knees and buttocks touches the ground and stands still, so steps move a walker forward, and
    sitting down moves the hips back. A soft minimum keeps the motion smooth.
    """
    both_sides = [(side.get(joint, joint), side.get(bone, bone), body.scale * np.array(offset))
                  for joint, bone, offset in CONTACTS for side in ({}, LEFT_OF)]
    points = np.stack([positions[:, joint] + frame_of[bone].apply(offset) for joint, bone, offset in both_sides], 1)
    gap = points[..., 2].copy()
    gap[:, BUTTOCKS] -= body.scale * seat
    lowest = gap.min(axis=1, keepdims=True)
    weight = np.exp((lowest - gap) / CONTACT_SOFTNESS)
    total = weight.sum(axis=1, keepdims=True)
    height = lowest - CONTACT_SOFTNESS * np.log(total / 3)  # the three points of a flat foot make no difference
    slide = np.einsum('tp,tpc->tc', (weight / total)[1:], np.diff(points[..., :2], axis=0))
    root = np.zeros((len(points), 3))
    root[1:, :2] = -np.cumsum(smooth(slide, 0.04), axis=0)
    root[:, 2] = -smooth(height, 0.02)[:, 0]
    return root


def find_place(rng: np.random.Generator, positions: np.ndarray) -> np.ndarray:
    """A random (2,) shift in metres after which (T, 32, 3) positions lie within the capture area."""
    normals, limits = AREA[:, :2], AREA[:, 2]
    room = limits - (positions[..., :2] @ normals.T).max(axis=(0, 1))
    shifts = rng.normal(MIDDLE_OF_AREA, SPREAD, (1000, 2)) - positions[..., :2].mean(axis=(0, 1))
    outside = np.maximum(shifts @ normals.T - room, 0).max(axis=1)
    return shifts[outside.argmin()]  # the first that fits


def make_if_missing(dataset: str, data_dir: str) -> None:
    """Make the demo dataset if a script asks for it and its file is missing."""
    path, _ = source_paths(dataset, '', data_dir)
    if dataset == 'demo' and not os.path.exists(path):
        print(f'Making the demo dataset {path} ...')
        write_npz(path, positions_3d=make_demo())


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Make the demo data set: synthetic motion in the layout of Human3.6M.')
    parser.add_argument('--output', default=OUTPUT, metavar='FILE', help='file to write (%(default)s)')
    parser.add_argument('--force', action='store_true', help='replace an existing file')
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    if os.path.exists(args.output) and not args.force:
        raise UserError(f'{args.output} exists already; give --force to replace it, or another --output.')
    demo = make_demo()
    write_npz(args.output, positions_3d=demo)
    print(f'{"subject":<8}{"sequences":>10}{"frames":>8}')
    rows = {subject: list(actions.values()) for subject, actions in demo.items()}
    for subject, sequences in {**rows, 'all': [take for takes in rows.values() for take in takes]}.items():
        print(f'{subject:<8}{len(sequences):>10}{sum(map(len, sequences)):>8}')
    print(f'Written to {args.output}.')


if __name__ == '__main__':
    run_script(main)
