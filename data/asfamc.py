"""Acclaim motion capture: reads .asf skeletons and .amc motions, and computes the positions of the bones' ends."""

import math
from array import array
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from common.errors import listing
from data.text_lines import Lines

INCH = 0.0254
AXES = {'X': 0, 'Y': 1, 'Z': 2}
CHANNELS = {kind + axis for kind in 'TR' for axis in AXES}


@dataclass(frozen=True)
class Bone:
    """A bone of the skeleton.

    Attributes:
        name, parent: the root's parent is ''.
        offset: (3,) from its near to its far end in the rest pose, in the file's unit of length.
        axes: rotates its own axes, about which its channels rotate, to the world's axes.
        channels: the values that a motion has for it, e.g. `('TX', 'RX')`.
    """

    name: str
    parent: str
    offset: np.ndarray
    axes: Rotation
    channels: tuple[str, ...]


@dataclass(frozen=True)
class AsfSkeleton:
    """Bones, every parent before its children, and how many metres the file's unit of length is."""

    bones: tuple[Bone, ...]
    metres: float


def rotation(axes: str, degrees: ArrayLike) -> Rotation:
    """Rotations by angles (..., len(axes)) of `Rotation.from_euler`; a bone without angles stays in its rest pose."""
    return Rotation.from_euler(axes, degrees, degrees=True) if axes else Rotation.identity()


def far_ends(skeleton: AsfSkeleton, motion: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Forward kinematics: the far end of every bone in every frame.

    Args:
        motion: {bone: (T, channels)} of `read_amc`.
    Returns:
        {bone: (T, 3)} metres, y up.
    """
    frames = len(next(iter(motion.values())))
    turned = {'': Rotation.identity()}  # from the rest pose
    ends = {'': np.zeros((frames, 3))}
    for bone in skeleton.bones:
        values = motion.get(bone.name, np.zeros((frames, 0)))
        turns = [index for index, channel in enumerate(bone.channels) if channel[0] == 'R']
        own = rotation(''.join(bone.channels[index][1].lower() for index in turns), values[:, turns])  # fixed axes
        turned[bone.name] = turned[bone.parent] * bone.axes * own * bone.axes.inv()
        ends[bone.name] = ends[bone.parent] + turned[bone.name].apply(bone.offset)
        for index, channel in enumerate(bone.channels):
            if channel[0] == 'T':
                ends[bone.name][:, AXES[channel[1]]] += values[:, index]
    return {bone.name: ends[bone.name] * skeleton.metres for bone in skeleton.bones}


def read_asf(path: str) -> AsfSkeleton:
    """Read a skeleton.

    Raises:
        UserError: the file is missing or damaged; the sentence names the line.
    """
    return _SkeletonReader(path).read()


def read_amc(path: str, skeleton: AsfSkeleton) -> dict[str, np.ndarray]:
    """Read a motion of a skeleton: {bone: (T, channels)}, degrees and the skeleton's unit of length.

    Raises:
        UserError: the file is missing, damaged, cut short, or of another skeleton; the sentence names the line.
    """
    lines = Lines(path)
    places: dict[str, slice] = {}
    width = 0
    for bone in skeleton.bones:
        if bone.channels:
            places[bone.name] = slice(width, width + len(bone.channels))
            width += len(bone.channels)
    values = array('d')
    row: list[float] = []  # the current frame; NaN for bones that have not been read
    last = None

    def end_frame() -> None:
        lacking = [name for name, place in places.items() if row and math.isnan(row[place.start])]
        if lacking:
            raise lines.error(f'frame {last} ends here without {listing(lacking, 4)}')
        values.extend(row)

    for words in lines:
        name = words[0]
        if name.startswith(':'):
            if name.upper() == ':RADIANS':
                raise lines.error('its angles are in radians, only degrees are read')
        elif len(words) == 1 and name.isdecimal() and len(name) < 10:
            end_frame()
            if last is not None and int(name) != last + 1:
                raise lines.error(f'frame {name} follows frame {last}')
            last, row = int(name), [math.nan] * width
        elif last is None:
            raise lines.error(f'{name[:40]!r} stands before the first frame')
        elif name not in places:
            raise lines.error(f'{name[:40]!r} is not a moving bone of its skeleton')
        elif not math.isnan(row[places[name].start]):
            raise lines.error(f'{name!r} a second time in frame {last}')
        else:
            row[places[name]] = lines.floats(words[1:], places[name].stop - places[name].start)
    end_frame()
    if last is None:
        raise lines.error('the file ends without any frame')
    table = np.frombuffer(values).reshape(-1, width)
    return {name: table[:, place] for name, place in places.items()}


class _SkeletonReader:
    """Reads an .asf file; one method for the lines of each section that is used."""

    def __init__(self, path: str) -> None:
        self.lines = Lines(path)
        self.length = 0.0  # an inch, in the file's units
        # The root's position is not read, because every trial is moved to its own centre.
        self.root: dict[str, Any] = {'axis': 'xyz', 'orientation': [0.0, 0.0, 0.0]}
        self.bone: dict[str, Any] = {}  # the current bone
        self.bones: dict[str, Bone] = {}
        self.attached: list[Bone] = []

    def read(self) -> AsfSkeleton:
        sections = {':units': self.read_units, ':root': self.read_root, ':bonedata': self.read_bone,
                    ':hierarchy': self.read_hierarchy}
        section = None
        for words in self.lines:
            if words[0].startswith(':'):
                section = sections.get(words[0].lower())
            elif section:
                section(words)
        loose = self.bones.keys() - {bone.name for bone in self.attached}
        for lacks, what in ((not self.length, 'its unit of length'), ('order' not in self.root, "its root's order"),
                            (self.bone, 'the end of a bone'), (not self.bones, 'any bone'),
                            (loose, f'a place in the hierarchy for {listing(sorted(loose), 4)}')):
            if lacks:
                raise self.lines.error(f'the file ends without {what}')
        axes = rotation(self.root['axis'], self.root['orientation'])
        root = Bone('root', '', np.zeros(3), axes, tuple(self.root['order']))
        return AsfSkeleton((root, *self.attached), INCH / self.length)

    def read_units(self, words: list[str]) -> None:
        if words[0] == 'length':
            (self.length,) = self.lines.floats(words[1:], 1)
            if self.length <= 0:
                raise self.lines.error(f'a unit of length of {self.length} cannot be')
        elif words[0] == 'angle' and words[1:] != ['deg']:
            raise self.lines.error('its angles are not in deg, and no others are read')

    def read_root(self, words: list[str]) -> None:
        if words[0] == 'order':
            self.root['order'] = self.channels(words[1:])
        elif words[0] == 'axis':
            self.root['axis'] = self.axis_order(words[1:])
        elif words[0] == 'orientation':
            self.root['orientation'] = self.lines.floats(words[1:], 3)

    def read_bone(self, words: list[str]) -> None:
        key, values = words[0], words[1:]
        if key == 'name':
            self.bone[key] = values
        elif key in ('direction', 'length'):
            self.bone[key] = self.lines.floats(values, 3 if key == 'direction' else 1)
        elif key == 'axis':
            self.bone[key] = rotation(self.axis_order(values[3:]), self.lines.floats(values[:3], 3))
        elif key == 'dof':
            self.bone[key] = self.channels(values)
        elif key == 'end':
            lacking = [key for key in ('name', 'direction', 'length', 'axis') if key not in self.bone]
            if lacking:
                raise self.lines.error(f'a bone ends here without its {listing(lacking)}')
            name = ' '.join(self.bone['name'])
            if name in self.bones or name == 'root':
                raise self.lines.error(f'{name[:40]!r} is the name of a second bone')
            offset = np.array(self.bone['direction']) * self.bone['length'][0]
            self.bones[name] = Bone(name, '', offset, self.bone['axis'], tuple(self.bone.get('dof', ())))
            self.bone = {}

    def read_hierarchy(self, words: list[str]) -> None:
        if words in (['begin'], ['end']):
            return
        known = {'root', *(bone.name for bone in self.attached)}
        if words[0] not in known:
            raise self.lines.error(f'{words[0][:40]!r} has children before it has a parent')
        for name in words[1:]:
            if name in known or name not in self.bones:
                raise self.lines.error(f'{name[:40]!r} is attached twice, or is not a bone of this file')
            self.attached.append(replace(self.bones[name], parent=words[0]))
            known.add(name)

    def channels(self, words: list[str]) -> list[str]:
        channels = [word.upper() for word in words]
        if len(set(channels)) < len(words) or not CHANNELS.issuperset(channels):
            raise self.lines.error(f'{" ".join(words)[:40]!r} are not translations and rotations about x, y and z')
        return channels

    def axis_order(self, words: list[str]) -> str:
        order = ''.join(words).lower()
        if sorted(order) != ['x', 'y', 'z']:
            raise self.lines.error(f'{order[:40]!r} is not an order of the axes, such as xyz')
        return order
