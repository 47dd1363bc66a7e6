"""Layouts of 2D detectors: the names of their joints, and how these become the 16 joints of the networks.

Hips, knees, feet, shoulders, elbows and wrists are the detector's own. If a detector has no Hip, Spine, Thorax or Head,
the mean of the joints around approximates it.

A new layout is one entry of `LAYOUTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from common.errors import UserError, listing
from common.geometry import body

_FACE_VISIBLE, _FACE_HIDDEN = 0.5, 0.2  # scores
TRAINED_ON = ('gt', 'sh')
OWN = 'own'  # layout of a checkpoint's own joints
Names = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The joints of a detector, and the joints from which Hip, Spine, Thorax and Head are computed.

    Attributes:
        joint_names: in the order of the detector's files.
        hip, spine, thorax, head: the 1, 2 or 4 joints whose mean it is.
        spine_sh, thorax_sh: the same for models trained on Stacked Hourglass detections, if it differs.
        raised_over: a joint; the Head is raised by its height above this joint. None: the Head is a plain mean.
        more: further joints in the files, which are not lifted.
        by_hint: chosen only if it is named or the file names its joints, never by the number of joints.
        rare: chosen only if the poses are human in this layout and in no other.
    """

    name: str
    joint_names: Names
    hip: Names
    spine: Names
    thorax: Names
    head: Names
    spine_sh: Names | None = None
    thorax_sh: Names | None = None
    raised_over: str | None = None
    more: Names = ()
    by_hint: bool = False
    rare: bool = False

    @property
    def joints(self) -> int:
        return len(self.joint_names + self.more)

    @property
    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The left joints, and the right joints in the same order."""
        left = [name for name in self.joint_names if name.startswith('left_')]
        return (tuple(map(self.joint_names.index, left)),
                tuple(self.joint_names.index(name.replace('left_', 'right_')) for name in left))

    @property
    def names_as_in_h36m(self) -> Names:
        """The names of the joints in the spelling of Human3.6M: LFoot for left_ankle, UpperNeck for upper_neck."""
        words = (name.replace('ankle', 'foot').split('_') for name in self.joint_names)
        return tuple(''.join(word[0].upper() if word in ('left', 'right') else word.title() for word in name)
                     for name in words)

    @property
    def approximate(self) -> Names:
        """The joints of the 16 that the detector lacks, so that they are approximated."""
        middle = zip(('Hip', 'Spine', 'Thorax', 'Head'), (self.hip, self.spine, self.thorax, self.head))
        return tuple(name for name, parts in middle if len(parts) > 1)

    def sources(self, trained_on: str = 'gt') -> tuple[tuple[int, ...], ...]:
        """For each of the 16 joints, the detector's joints whose mean it is."""
        spine, thorax = self.spine, self.thorax
        if trained_on == 'sh':
            spine, thorax = self.spine_sh or spine, self.thorax_sh or thorax
        middle = {body.HIP: self.hip, body.SPINE: spine, body.THORAX: thorax, body.HEAD: self.head}
        return tuple(tuple(map(self.joint_names.index, middle.get(joint, (name,))))
                     for joint, name in enumerate(SIXTEEN))


def _sides(first: str, second: str, *parts: str) -> Names:
    return tuple(f'{side}_{part}' for part in parts for side in (first, second))


def _limb(side: str, *parts: str) -> Names:
    return tuple(f'{side}_{part}' for part in parts)


_LEG, _ARM, _FOOT = ('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'), ('big_toe', 'small_toe', 'heel')
_EYE = ('eye_inner', 'eye', 'eye_outer')
_HIPS, _SHOULDERS = ('left_hip', 'right_hip'), ('left_shoulder', 'right_shoulder')
_EYES, _EARS = ('left_eye', 'right_eye'), ('left_ear', 'right_ear')
_LIMBS = _sides('left', 'right', *_ARM, *_LEG)
_ARMS = (*_limb('right', *_ARM), *_limb('left', *_ARM))
_LEGS = (*_limb('right', *_LEG), *_limb('left', *_LEG))
_FEET = (*_limb('left', *_FOOT), *_limb('right', *_FOOT))
_FACE = tuple(f'face_{number}' for number in range(68))
_FINGERS = [f'{finger}_{joint}' for finger in ('thumb', 'index', 'middle', 'ring', 'little') for joint in range(1, 5)]
_HANDS = (*_limb('left', 'hand_root', *_FINGERS), *_limb('right', 'hand_root', *_FINGERS))

SIXTEEN = ('hip', *_LEGS, 'spine', 'thorax', 'head', *_limb('left', *_ARM), *_limb('right', *_ARM))
COCO_17 = ('nose', *_EYES, *_EARS, *_LIMBS)
BODY_25 = ('nose', 'neck', *_ARMS, 'hip', *_LEGS, *_EYES[::-1], *_EARS[::-1], *_FEET)
MEDIAPIPE_33 = ('nose', *_limb('left', *_EYE), *_limb('right', *_EYE),
                *_sides('left', 'right', 'ear', 'mouth', *_ARM, 'pinky', 'index', 'thumb', *_LEG, 'heel', 'foot_index'))
HALPE_26 = (*COCO_17, 'head', 'neck', 'hip', *_sides('left', 'right', *_FOOT))
MPII_16 = (*_limb('right', *_LEG[::-1]), *_limb('left', *_LEG), 'hip', 'thorax', 'upper_neck', 'head',
           *_limb('right', *_ARM[::-1]), *_limb('left', *_ARM))
BODY_25B = (*COCO_17, 'upper_neck', 'head', *_FEET)
COCO_18 = ('nose', 'neck', *_ARMS, *_LEGS, *_EYES[::-1], *_EARS[::-1])
MPI_15 = ('head', 'neck', *_ARMS, *_LEGS, 'chest')
POSETRACK_17 = ('nose', 'upper_neck', 'head', *_EARS, *_LIMBS)
SAPIENS_308 = ('nose', *_EYES, *_EARS, *_sides('left', 'right', 'shoulder', 'elbow', *_LEG), *_FEET,
               *(f'right_finger_{joint}' for joint in range(20)), 'right_wrist',
               *(f'left_finger_{joint}' for joint in range(20)), 'left_wrist')
H36M_17 = (*SIXTEEN[:body.HEAD], 'neck_nose', *SIXTEEN[body.HEAD:])
_OWN = (('hip',), ('spine',), ('thorax',), ('head',))

LAYOUTS = {layout.name: layout for layout in (
    Layout('coco17', COCO_17, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EYES, raised_over='nose'),
    Layout('body25', BODY_25, ('hip',), ('neck', 'hip'), ('neck',), _EYES[::-1]),
    Layout('mediapipe33', MEDIAPIPE_33, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EARS),
    Layout('halpe26', HALPE_26, ('hip',), ('neck', 'hip'), ('neck',), ('head',)),
    # Published SH models were trained with thorax and upper neck as Spine and Thorax.
    Layout('mpii16', MPII_16, ('hip',), _HIPS[::-1] + _SHOULDERS[::-1], ('thorax',), ('head',), spine_sh=('thorax',),
           thorax_sh=('upper_neck',)),
    Layout('body25b', BODY_25B, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, ('head',), rare=True),
    Layout('coco18', COCO_18, _HIPS, _SHOULDERS + _HIPS, ('neck',), _EYES[::-1], raised_over='nose'),
    Layout('mpi15', MPI_15, _HIPS, _SHOULDERS + _HIPS, ('neck',), ('head',)),
    Layout('posetrack17', POSETRACK_17, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, ('head',), by_hint=True),
    Layout('wholebody133', COCO_17, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EYES, raised_over='nose',
           more=_FEET + _FACE + _HANDS),
    Layout('sapiens308', SAPIENS_308, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EYES, raised_over='nose',
           more=tuple(f'further_{number}' for number in range(245))),
    Layout('halpe136', HALPE_26, ('hip',), ('neck', 'hip'), ('neck',), ('head',), more=_FACE + _HANDS),
    Layout('h36m17', H36M_17, *_OWN),
    Layout('h36m16', SIXTEEN, *_OWN),
)}


def own_layout(names: Names) -> Layout:
    """The layout of the joints of a checkpoint that lifts another skeleton than the 16."""
    return Layout(OWN, names, (), (), (), ())


def layout_named(name: str) -> Layout:
    """The layout of this name.

    Raises:
        UserError: there is no such layout.
    """
    if name not in LAYOUTS:
        raise UserError(f'there is no layout {name}; there are {listing(LAYOUTS)}.')
    return LAYOUTS[name]


def candidates(joints: int, name: str | None = None, hint: str | None = None,
               where: str = 'the input') -> list[Layout]:
    """The layouts with this number of joints: one if the choice is clear, otherwise several.

    Args:
        name: given by the user; it must have this number of joints.
        hint: implied by the file's format; used if it has this number of joints.
    Raises:
        UserError: no layout has this number of joints.
    """
    if name is not None:
        layout = layout_named(name)
        if layout.joints != joints:
            raise UserError(f'{where} has {joints} joints, and the layout {name} has {layout.joints}; leave --layout '
                            f'out to have it recognised.')
        return [layout]
    fitting = [layout for layout in LAYOUTS.values() if layout.joints == joints]
    if not fitting:
        numbers = listing((f'{layout.name} ({layout.joints})' for layout in LAYOUTS.values()), 20)
        raise UserError(f'{where} has {joints} joints, and the known layouts have other numbers: {numbers}.')
    return [layout for layout in fitting if layout.name == hint] or [one for one in fitting if not one.by_hint]


def choose_layout(joints: int, name: str | None = None, hint: str | None = None, where: str = 'the input') -> Layout:
    """The only layout with this number of joints, chosen as by `candidates`.

    Raises:
        UserError: no layout has this number of joints, or several have and none is named.
    """
    fitting = candidates(joints, name, hint, where)
    if len(fitting) > 1:
        fitting = [layout for layout in fitting if not layout.rare]
    if len(fitting) > 1:
        raise UserError(f'{where} has {joints} joints, as {" and ".join(layout.name for layout in fitting)} have: say '
                        f'which it is with --layout.')
    return fitting[0]


_SIDES = {'l': 'left', 'r': 'right', 'left': 'left', 'right': 'right'}
_ALIASES = {'ank': 'ankle', 'kne': 'knee', 'sho': 'shoulder', 'elb': 'elbow', 'wri': 'wrist',
            'midhip': 'hip', 'pelvis': 'hip', 'root': 'hip', 'headtop': 'head', 'tophead': 'head',
            'headbottom': 'upper_neck', 'upperneck': 'upper_neck'}
_PREFERRED = ('halpe26', 'mpii16', 'body25', 'body25b', 'coco18', 'coco17', 'mediapipe33', 'posetrack17', 'mpi15',
              'h36m16')


def canonical_name(name: str) -> str:
    """LShoulder, left shoulder, LEFT_SHOULDER, shoulder-left, shoulder_l: left_shoulder."""
    words = re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+', re.sub(r'^([LR])(?=[A-Z][a-z])', r'\1 ', name))
    words = [word.lower() for word in words]
    side = next((_SIDES[word] for word in words if word in _SIDES), '')
    rest = [word for word in words if word not in _SIDES and word not in ('joint', 'mid')]
    part = _ALIASES.get(''.join(rest), '_'.join(rest))
    return f'{side}_{part}' if side else part


@cache
def layout_of_names(names: Names, own: Names = ()) -> tuple[Layout, np.ndarray]:
    """The layout whose joints are among the names, and the index of each of its joints among them, -1 if missing.

    Args:
        own: joints of a checkpoint with another skeleton, all of which must be among the names.
    Raises:
        ValueError: no layout has these joints.
    """
    if own:
        if missing := [name for name in own if name not in names]:
            raise ValueError(f'its joints {listing(names, 20)} lack {listing(missing, 20)} of the checkpoint')
        return own_layout(own), np.array([names.index(name) for name in own])
    given = [canonical_name(name) for name in names]
    if 'left_ankle' not in given:  # Human3.6M's feet are ankles
        given = [re.sub('_foot$', '_ankle', name) for name in given]
    exact = [layout for layout in LAYOUTS.values() if set(layout.joint_names) == set(given)]
    for layout in exact + [LAYOUTS[name] for name in _PREFERRED]:
        used = {layout.joint_names[joint] for joints in layout.sources() for joint in joints}
        if used | ({layout.raised_over} if layout.raised_over else set()) <= set(given):
            return layout, np.array([given.index(joint) if joint in given else -1 for joint in layout.joint_names])
    missing = [name for name in _LIMBS if name not in given]
    raise ValueError(f'its joints {listing(names, 20)} are not a human body: ' + (
        f'{listing(missing)} is missing' if missing else 'neither eyes and nose nor a head are among them'))


@cache
def _means_of_four(layout: Layout, trained_on: str) -> np.ndarray:
    """(16, 4) the detector's joints of each of the 16: a mean of 1, 2 or 4 is one of 4 with repetitions."""
    return np.array([(joints * 4)[:4] for joints in layout.sources(trained_on)])


def to_h36m(keypoints: np.ndarray, scores: np.ndarray, layout: Layout,
            trained_on: str = 'gt') -> tuple[np.ndarray, np.ndarray]:
    """The 16 joints from a detector's joints.

    The Head is the mean of its joints that are present, because an eye is often hidden. Any other joint is
    missing if one of the joints that it is computed from is missing.

    Args:
        keypoints: (..., J, 2) pixels, y down; NaN where a joint is missing.
        scores: (..., J).
        trained_on: 'gt' or 'sh', the detections on which the model was trained.
    Returns:
        (..., 16, 2) pixels, and (..., 16) the lowest score of the joints that each is computed from.
    """
    index = _means_of_four(layout, trained_on)
    parts, part_scores = keypoints[..., index, :], scores[..., index]  # (..., 16, 4, 2), (..., 16, 4)
    joints, joint_scores = parts.mean(-2), part_scores.min(-1)
    if len(layout.head) > 1:
        _complete_head(joints, joint_scores, parts[..., body.HEAD, :, :], part_scores[..., body.HEAD, :])
    if layout.raised_over is not None:
        base = layout.joint_names.index(layout.raised_over)
        rise = joints[..., body.HEAD, 1] - keypoints[..., base, 1]
        joints[..., body.HEAD, 1] += np.where(np.isnan(rise), 0, rise)
        joint_scores[..., body.HEAD] = np.minimum(joint_scores[..., body.HEAD],
                                                  np.where(np.isnan(rise), np.inf, scores[..., base]))
    return joints, joint_scores


def _complete_head(joints: np.ndarray, scores: np.ndarray, parts: np.ndarray, part_scores: np.ndarray) -> None:
    """Where some of the Head's joints are missing, compute it from the others."""
    present = np.isfinite(parts).all(-1)  # (..., 4)
    some = present.any(-1) & ~present.all(-1)
    mean = np.where(present[..., None], parts, 0).sum(-2) / np.maximum(present.sum(-1), 1)[..., None]
    joints[..., body.HEAD, :] = np.where(some[..., None], mean, joints[..., body.HEAD, :])
    lowest = np.where(present, part_scores, np.inf).min(-1)
    scores[..., body.HEAD] = np.where(some, lowest, scores[..., body.HEAD])


def facing(keypoints: np.ndarray, scores: np.ndarray, layout: Layout) -> np.ndarray:
    """(...) 1 for people from the front, with visible nose and eyes; -1 from behind; 0 if it is not clear.

    Args:
        keypoints, scores: as for `to_h36m`.
    """
    if not {'nose', *_EYES} <= set(layout.joint_names):
        return np.zeros(keypoints.shape[:-2])
    face = [layout.joint_names.index(name) for name in ('nose', *_EYES)]
    face_scores = np.where(np.isfinite(keypoints[..., face, 0]), scores[..., face], 0.0)
    behind = (face_scores.max(-1) < _FACE_HIDDEN) & (scores.max(-1) >= _FACE_VISIBLE)
    return np.where(face_scores.min(-1) >= _FACE_VISIBLE, 1.0, np.where(behind, -1.0, 0.0))
