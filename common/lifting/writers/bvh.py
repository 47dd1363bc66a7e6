"""Writes a person's motion as BVH, for animation programs.

Joints have the names and the hierarchy that Mixamo, Rokoko and Blender's retargeting tools know. Only the hips have a
position and every joint a rotation, so bones have a constant length. The rest pose is a T-pose, y up, facing z, the
left hand along x; the unit is the metre. What turns independently among the 16 joints does so here too:

- The hips carry both upper legs as one rigid bone. In all training data the hip lies between them.
- `Spine` begins behind the hip, where its distance to the next joint stays the same however the spine leans.
- `Neck` and both `Shoulder` bones begin at the thorax, the end of `Spine1`.

Hands, feet and the upper head have no data: they continue their parent, and bend where they would pass the floor.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from common.errors import UserError
from common.files.atomic import atomic_write
from common.geometry import body
from common.lifting.motion.bones import MIRRORED, body_height, bone_lengths, pelvis
from common.progress import with_progress

CHANNELS = 'Zrotation Xrotation Yrotation'  # applied as R = Rz Rx Ry
BEHIND = 0.03  # of the height: from the hip back to the beginning of the spine
BENDING = 0.2  # weight of `_End.bend`, which decides where a bone across the floor would bend to


class _Joint(NamedTuple):
    """A joint of the file: its parent, its name among the 16 joints, the rest direction from the parent.

    An own name like `ThoraxToLShoulder` begins at the thorax; its bone ends at the shoulder.
    """

    parent: str
    own: str
    rest: tuple[float, float, float] = (0, 0, 0)


class _End(NamedTuple):
    """The end of a bone without data.

    Its offset at rest in heights of the body (Drillis and Contini, 1966), and the direction to which a floor bends it.
    """

    offset: tuple[float, float, float]
    bend: tuple[float, float, float]


def _arm(side: str, x: float) -> dict[str, _Joint]:
    return {f'{side}Shoulder': _Joint('Spine1', f'ThoraxTo{side[0]}Shoulder', (0, 1, 0)),
            f'{side}Arm': _Joint(f'{side}Shoulder', f'{side[0]}Shoulder', (x, 0, 0)),
            f'{side}ForeArm': _Joint(f'{side}Arm', f'{side[0]}Elbow', (x, 0, 0)),
            f'{side}Hand': _Joint(f'{side}ForeArm', f'{side[0]}Wrist', (x, 0, 0))}


def _leg(side: str) -> dict[str, _Joint]:
    return {f'{side}UpLeg': _Joint('Hips', f'{side[0]}Hip'),
            f'{side}Leg': _Joint(f'{side}UpLeg', f'{side[0]}Knee', (0, -1, 0)),
            f'{side}Foot': _Joint(f'{side}Leg', f'{side[0]}Foot', (0, -1, 0))}


# In the file's order: each joint is followed by everything below it.
_ALL = {'Hips': _Joint('', 'Hip'), 'Spine': _Joint('Hips', 'HipToSpine'), 'Spine1': _Joint('Spine', 'Spine'),
        'Neck': _Joint('Spine1', 'Thorax', (0, 1, 0)), 'Head': _Joint('Neck', 'Head', (0, 1, 0)),
        **_arm('Left', 1), **_arm('Right', -1), **_leg('Left'), **_leg('Right')}
_ENDS = {'Head': _End((0, 0.064, 0), (0, 0, 1)),
         'LeftHand': _End((0.108, 0, 0), (0, 1, 0)), 'RightHand': _End((-0.108, 0, 0), (0, 1, 0)),
         'LeftFoot': _End((0, 0, 0.113), (0, 1, 0)), 'RightFoot': _End((0, 0, 0.113), (0, 1, 0))}


def _children(name: str) -> list[str]:
    return [child for child, joint in _ALL.items() if joint.parent == name]


def write_bvh(path: str, positions: np.ndarray, fps: float, names: str = 'animation') -> tuple[int, float]:
    """Write the motion of one person.

    An animation needs a pose in every frame, so frames without a pose are interpolated.

    Args:
        positions: (T, 16, 3) metres in the room, y up from the floor, z toward the viewer; NaN where there is no pose.
        fps: frames a second.
        names: 'animation' for the names of animation programs, 'own' for the names of the 16 joints.
    Returns:
        the number of interpolated frames, and the largest distance of a joint of the file from its position, metres.
    Raises:
        UserError: there is no pose at all, or the file cannot be written.
    """
    there = np.isfinite(positions).all((1, 2))
    if not there.any():
        raise UserError(f'{path}: there is no pose to write.')
    filled = dict(zip(body.NAMES, np.moveaxis(_filled(positions, there), 1, 0)))
    lengths = bone_lengths(positions[there].astype(np.float64), body.SKELETON)
    offsets = _offsets(filled, dict(zip(body.NAMES, lengths.tolist())), body_height(lengths))
    places, turns = _pose(filled, offsets)
    channels = [places['Hips']]
    for name, joint in _ALL.items():
        local = turns[joint.parent].inv() * turns[name] if joint.parent else turns[name]
        channels.append(_angles(local))
    row = ' '.join(['%.6f'] * (3 + 3 * len(_ALL)))
    with atomic_write(path, 'w') as file:
        file.write('\n'.join(['HIERARCHY', *_lines('Hips', offsets, names, 0), 'MOTION', f'Frames: {len(positions)}',
                              f'Frame Time: {1 / fps:.8f}', '']))
        file.writelines(row % tuple(values) + '\n'
                        for values in with_progress('writing', np.concatenate(channels, axis=1).tolist()))
    away = max(float(np.linalg.norm(places[name] - filled[joint.own], axis=-1)[there].max())
               for name, joint in _ALL.items() if joint.own in filled)
    return int((~there).sum()), away


def _filled(positions: np.ndarray, there: np.ndarray) -> np.ndarray:
    rows, known = np.arange(len(positions)), np.flatnonzero(there)
    flat = positions.reshape(len(positions), -1).astype(np.float64)
    return np.stack([np.interp(rows, known, column[known]) for column in flat.T], 1).reshape(-1, body.JOINTS, 3)


def _offsets(joints: Mapping[str, np.ndarray], lengths: Mapping[str, float], height: float) -> dict[str, np.ndarray]:
    """{joint of the file, or the name of its end: (3,) metres from the parent at rest}."""
    _, hip = pelvis(np.stack([joints[name] for name in body.NAMES], axis=1))
    offsets = {'Hips': np.zeros(3), 'LeftUpLeg': hip, 'RightUpLeg': hip * MIRRORED,
               'Spine': np.array([0, 0, -BEHIND * height]), 'Spine1': np.array([0, lengths['Spine'], BEHIND * height])}
    for name, joint in _ALL.items():
        bone = 'Thorax' if joint.parent == 'Spine1' else joint.own
        offsets.setdefault(name, np.array(joint.rest) * lengths.get(bone, 0.0))
    return offsets | {f'{name} end': np.array(end.offset) * height for name, end in _ENDS.items()}


def _pose(joints: Mapping[str, np.ndarray],
          offsets: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Rotation]]:
    """{joint of the file: (T, 3) place} and {joint of the file: its T rotations in the room}.

    Each bone points from where the file puts its beginning to where its end is, so errors do not add up.
    """
    turns = {'Hips': _axes(joints['LHip'] - joints['RHip'], joints['Spine'] - joints['Hip'])}
    legs = (joints['LHip'] + joints['RHip'] - turns['Hips'].apply(offsets['LeftUpLeg'] + offsets['RightUpLeg'])) / 2
    places = {'Hips': (joints['Hip'] + legs) / 2}  # where these differ, the hip and the legs' ends are off by the same
    for name, joint in _ALL.items():
        if name == 'Hips':
            continue
        carried = turns[joint.parent]
        place = places[name] = places[joint.parent] + carried.apply(offsets[name])
        if name in _ENDS:
            turns[name] = _above_floor(carried, place, name, offsets[f'{name} end'])
            continue
        child = _children(name)[0]
        aim = _unit(joints[_ALL[child].own] - place)
        if name == 'Spine1':  # its rotation about itself follows the shoulders
            shoulders = joints['LShoulder'] - joints['RShoulder']
            aim_first = shoulders - (shoulders * aim).sum(-1, keepdims=True) * aim
            turns[name] = _axes(aim_first, aim)
        else:
            turns[name] = _shortest(carried.apply(_unit(offsets[child])), aim) * carried
    return places, turns


def _above_floor(carried: Rotation, place: np.ndarray, name: str, offset: np.ndarray) -> Rotation:
    """The parent's rotation, bent where the end of this bone would be below the floor."""
    bone, size = carried.apply(offset), float(np.linalg.norm(offset))
    lowest = np.clip(-place[:, 1], -size, 0)
    flat = (bone + BENDING * size * carried.apply(_ENDS[name].bend)) * [1, 0, 1]
    level = _unit(flat) * np.sqrt(size ** 2 - lowest ** 2)[:, None] + np.stack([0 * lowest, lowest, 0 * lowest], 1)
    wanted = np.where((bone[:, 1] < lowest)[:, None], level, bone)
    return _shortest(_unit(bone), _unit(wanted)) * carried


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _axes(x: np.ndarray, y: np.ndarray) -> Rotation:
    """Rotations whose x axis is along x, and whose y axis leans toward y; none where these are parallel."""
    first, third = _unit(x), _unit(np.cross(x, y))
    frame = np.stack([first, np.cross(third, first), third], axis=-1)
    clear = np.abs(np.linalg.det(frame) - 1) < 1e-6
    return Rotation.from_matrix(np.where(clear[:, None, None], frame, np.eye(3)))


def _shortest(start: np.ndarray, end: np.ndarray) -> Rotation:
    """The rotations by the smallest angle from unit vectors (T, 3) to unit vectors (T, 3)."""
    axis = np.cross(start, end)
    sine, cosine = np.linalg.norm(axis, axis=-1, keepdims=True), (start * end).sum(-1, keepdims=True)
    helper = np.where(np.abs(start[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    axis = np.where((sine < 1e-9) & (cosine < 0), np.cross(start, helper), axis)  # half a turn about any axis across
    return Rotation.from_rotvec(_unit(axis) * np.arctan2(sine, cosine))


def _angles(turns: Rotation) -> np.ndarray:
    """(T, 3) angles about z, x and y, degrees, without jumps by a whole turn."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Gimbal lock')  # then any two angles with the right sum will do
        return np.unwrap(turns.as_euler('ZXY', degrees=True), period=360, axis=0)


def _lines(name: str, offsets: Mapping[str, np.ndarray], names: str, depth: int) -> list[str]:
    """The lines of a joint and everything below it."""
    kind, position = ('JOINT', '3') if depth else ('ROOT', '6 Xposition Yposition Zposition')
    lines = [f'{kind} {_ALL[name].own if names == "own" else name}', '{', f'\tOFFSET {_numbers(offsets[name])}',
             f'\tCHANNELS {position} {CHANNELS}']
    for child in _children(name):
        lines += _lines(child, offsets, names, 1)
    if name in _ENDS:
        lines += ['\tEnd Site', '\t{', f'\t\tOFFSET {_numbers(offsets[name + " end"])}', '\t}']
    return ['\t' * bool(depth) + line for line in [*lines, '}']]


def _numbers(values: np.ndarray) -> str:
    return ' '.join(f'{value:.6f}' for value in values)
