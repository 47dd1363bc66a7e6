"""Biovision hierarchies: reads .bvh files, and computes where the joints are."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.spatial.transform import Rotation

from data.asfamc import AXES, rotation
from data.text_lines import Lines


@dataclass
class Joint:
    """A joint of the hierarchy.

    Attributes:
        name, parent: the name of an end site is its joint's name and ` end`; the root's parent is ''.
        offset: (3,) from the parent, in the parent's axes, in the file's unit of length.
        channels: the values that a frame has for it, e.g. `('Zrotation', 'Yrotation', 'Xrotation')`; rotations
            multiply in this order, so that the last one is applied first.
    """

    name: str
    parent: str
    offset: np.ndarray
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Motion:
    """Joints, every parent before its children; (T, channels) degrees or lengths of all of them; frames a second."""

    joints: list[Joint]
    values: np.ndarray
    fps: float


def positions(motion: Motion) -> dict[str, np.ndarray]:
    """Forward kinematics: {joint: (T, 3)}, in the file's axes and unit of length."""
    turned, places = {'': Rotation.identity()}, {'': np.zeros((len(motion.values), 3))}
    column = 0
    for joint in motion.joints:
        values = motion.values[:, column:column + len(joint.channels)]
        column += len(joint.channels)
        offset = np.broadcast_to(joint.offset, (len(values), 3)).copy()
        turns = [index for index, channel in enumerate(joint.channels) if channel.endswith('rotation')]
        for index, channel in enumerate(joint.channels):
            if index not in turns:
                offset[:, AXES[channel[0]]] += values[:, index]
        places[joint.name] = places[joint.parent] + turned[joint.parent].apply(offset)
        own = rotation(''.join(joint.channels[index][0] for index in turns), values[:, turns])  # axes that turn with it
        turned[joint.name] = turned[joint.parent] * own
    return {joint.name: places[joint.name] for joint in motion.joints}


def read_bvh(path: str) -> Motion:
    """Read a file.

    Raises:
        UserError: it is damaged, cut short, or not a .bvh; the sentence names the line.
    """
    lines = Lines(path)
    rows = iter(lines)
    joints = _read_hierarchy((word for words in rows for word in words), lines)
    frames = int(_setting(rows, lines, 'Frames:'))
    seconds = _setting(rows, lines, 'Frame Time:')
    if seconds <= 0:
        raise lines.error(f'a frame time of {seconds:g} seconds cannot be')
    width = sum(len(joint.channels) for joint in joints)
    values = array('d')
    for words in rows:
        values.extend(lines.floats(words, width))
    if len(values) != frames * width or not values:
        raise lines.error(f'the file ends after {len(values) // max(width, 1):,} of {frames:,} frames')
    return Motion(joints, np.frombuffer(values).reshape(-1, width), round(1 / seconds, 1))


def _setting(rows: Iterator[list[str]], lines: Lines, name: str) -> float:
    """The number behind a name, like `Frames: 174`."""
    text = ' '.join(next(rows, []))
    if not text.startswith(name):
        raise lines.error(f'{text[:40]!r} stands where {name} belongs')
    return lines.floats(text[len(name):].split(), 1)[0]


def _read_hierarchy(words: Iterator[str], lines: Lines) -> list[Joint]:
    joints: dict[str, Joint] = {}
    above: list[str] = []  # the joints whose braces are open

    def take(count: int) -> list[str]:
        taken = list(islice(words, count))
        if len(taken) < count:
            raise lines.error('the file ends before its MOTION')
        return taken

    while (word := take(1)[0]) != 'MOTION':
        if word in ('ROOT', 'JOINT', 'End') and bool(above) != (word == 'ROOT'):
            name, brace = take(2)
            name = f'{above[-1]} end' if word == 'End' else name
            if name in joints or brace != '{':
                raise lines.error(f'{name[:40]!r} is the name of a second joint, or is not followed by {{')
            joints[name] = Joint(name, above[-1] if above else '', np.zeros(3))
            above.append(name)
        elif word == 'OFFSET' and above:
            joints[above[-1]].offset = np.array(lines.floats(take(3), 3))
        elif word == 'CHANNELS' and above:
            count = int(lines.floats(take(1), 1)[0])
            joints[above[-1]].channels = _channels(take(max(count, 0)), lines)
        elif word == '}' and above:
            above.pop()
        elif word != 'HIERARCHY' or joints:
            raise lines.error(f'{word[:40]!r} has no place here in a hierarchy')
    if above or not joints:
        raise lines.error('the hierarchy is not complete where MOTION begins')
    return list(joints.values())


def _channels(words: list[str], lines: Lines) -> tuple[str, ...]:
    channels = tuple(word.capitalize() for word in words)
    known = {axis + kind for axis in AXES for kind in ('position', 'rotation')}
    if len(set(channels)) < len(channels) or not known.issuperset(channels):
        raise lines.error(f'{" ".join(words)[:60]!r} are not positions and rotations about x, y and z')
    return channels
