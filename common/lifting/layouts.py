"""Layouts of 2D detectors: the names of their joints, and how these become the 16 joints of the networks.

Hips, knees, feet, shoulders, elbows and wrists are the detector's own. Hip, Spine, Thorax and Head are approximated by
the mean of joints around them wherever a detector has no such joint.

A new layout is one entry of `LAYOUTS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from common.datasets import h36m
from common.errors import UserError, listing

JOINTS = 16
HIP, SPINE, THORAX, HEAD = 0, 7, 8, 9
LEGS = ((1, 4), (2, 5), (3, 6))  # (right, left) hip, knee, foot
ARMS = ((13, 10), (14, 11), (15, 12))  # (right, left) shoulder, elbow, wrist
TRAINED_ON = ('gt', 'sh')
Names = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The joints of a detector, and which of them make Hip, Spine, Thorax and Head.

    Attributes:
        joint_names: in the order of the detector's files.
        hip, spine, thorax, head: the joints whose mean it is: 1, 2 or 4.
        spine_sh, thorax_sh: the same for models trained on Stacked Hourglass detections, where it differs.
        raised_over: the joint over which the Head is raised by its height above it; None: the Head is a plain mean.
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

    @property
    def joints(self) -> int:
        return len(self.joint_names)

    @property
    def approximate(self) -> Names:
        """Those of the 16 that the detector does not really have."""
        middle = zip(('Hip', 'Spine', 'Thorax', 'Head'), (self.hip, self.spine, self.thorax, self.head))
        return tuple(name for name, parts in middle if len(parts) > 1)

    def sources(self, trained_on: str = 'gt') -> tuple[tuple[int, ...], ...]:
        """For each of the 16, the detector's joints whose mean it is."""
        spine, thorax = self.spine, self.thorax
        if trained_on == 'sh':
            spine, thorax = self.spine_sh or spine, self.thorax_sh or thorax
        middle = {HIP: self.hip, SPINE: spine, THORAX: thorax, HEAD: self.head}
        return tuple(tuple(map(self.joint_names.index, middle.get(joint, (name,))))
                     for joint, name in enumerate(SIXTEEN))


def _sides(first: str, second: str, *parts: str) -> Names:
    return tuple(f'{side}_{part}' for part in parts for side in (first, second))


def _limb(side: str, *parts: str) -> Names:
    return tuple(f'{side}_{part}' for part in parts)


_LEG, _ARM, _FOOT = ('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'), ('big_toe', 'small_toe', 'heel')
_EYE = ('eye_inner', 'eye', 'eye_outer')
SIXTEEN = ('hip', *_limb('right', *_LEG), *_limb('left', *_LEG), 'spine', 'thorax', 'head', *_limb('left', *_ARM),
           *_limb('right', *_ARM))
COCO_17 = ('nose', *_sides('left', 'right', 'eye', 'ear', *_ARM, *_LEG))
BODY_25 = ('nose', 'neck', *_limb('right', *_ARM), *_limb('left', *_ARM), 'hip', *_limb('right', *_LEG),
           *_limb('left', *_LEG), *_sides('right', 'left', 'eye', 'ear'), *_limb('left', *_FOOT),
           *_limb('right', *_FOOT))
MEDIAPIPE_33 = ('nose', *_limb('left', *_EYE), *_limb('right', *_EYE),
                *_sides('left', 'right', 'ear', 'mouth', *_ARM, 'pinky', 'index', 'thumb', *_LEG, 'heel', 'foot_index'))
HALPE_26 = (*COCO_17, 'head', 'neck', 'hip', *_sides('left', 'right', *_FOOT))
MPII_16 = (*_limb('right', *_LEG[::-1]), *_limb('left', *_LEG), 'hip', 'thorax', 'upper_neck', 'head',
           *_limb('right', *_ARM[::-1]), *_limb('left', *_ARM))
H36M_17 = (*SIXTEEN[:h36m.NECK_IN_17], 'neck_nose', *SIXTEEN[h36m.NECK_IN_17:])

_HIPS, _SHOULDERS = ('left_hip', 'right_hip'), ('left_shoulder', 'right_shoulder')
_EYES, _EARS = ('left_eye', 'right_eye'), ('left_ear', 'right_ear')
_OWN = (('hip',), ('spine',), ('thorax',), ('head',))

LAYOUTS = {layout.name: layout for layout in (
    Layout('coco17', COCO_17, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EYES, raised_over='nose'),
    Layout('body25', BODY_25, ('hip',), ('neck', 'hip'), ('neck',), _EYES[::-1]),
    Layout('mediapipe33', MEDIAPIPE_33, _HIPS, _SHOULDERS + _HIPS, _SHOULDERS, _EARS),
    Layout('halpe26', HALPE_26, ('hip',), ('neck', 'hip'), ('neck',), ('head',)),
    # Published SH models were trained with thorax and upper neck in the places of Spine and Thorax.
    Layout('mpii16', MPII_16, ('hip',), _HIPS[::-1] + _SHOULDERS[::-1], ('thorax',), ('head',), spine_sh=('thorax',),
           thorax_sh=('upper_neck',)),
    Layout('h36m17', H36M_17, *_OWN),
    Layout('h36m16', SIXTEEN, *_OWN),
)}


def layout_named(name: str) -> Layout:
    """The layout of this name.

    Raises:
        UserError: there is no such layout.
    """
    if name not in LAYOUTS:
        raise UserError(f'there is no layout {name}; there are {listing(LAYOUTS)}.')
    return LAYOUTS[name]


def choose_layout(joints: int, name: str | None = None, hint: str | None = None, where: str = 'the input') -> Layout:
    """The layout of so many joints.

    Args:
        name: given by the user; it must fit the number.
        hint: implied by the file's format; taken where it fits the number.
    Raises:
        UserError: no layout has so many joints, or several have and none is named.
    """
    if name is not None:
        layout = layout_named(name)
        if layout.joints != joints:
            raise UserError(f'{where} has {joints} joints, and the layout {name} has {layout.joints}; leave --layout '
                            f'out to have it recognised.')
        return layout
    fitting = [layout for layout in LAYOUTS.values() if layout.joints == joints]
    if not fitting:
        known = listing(f'{layout.name} ({layout.joints})' for layout in LAYOUTS.values())
        raise UserError(f'{where} has {joints} joints, which is none of the known layouts: {known}.')
    if hint in [layout.name for layout in fitting]:
        return LAYOUTS[str(hint)]
    if len(fitting) > 1:
        raise UserError(f'{where} has {joints} joints, as {" and ".join(layout.name for layout in fitting)} have: say '
                        f'which it is with --layout.')
    return fitting[0]


@cache
def _means_of_four(layout: Layout, trained_on: str) -> np.ndarray:
    """(16, 4) the detector's joints of each of the 16: a mean of 1, 2 or 4 is one of 4 with repetitions."""
    return np.array([(joints * 4)[:4] for joints in layout.sources(trained_on)])


def to_h36m(keypoints: np.ndarray, scores: np.ndarray, layout: Layout,
            trained_on: str = 'gt') -> tuple[np.ndarray, np.ndarray]:
    """Make the 16 joints from a detector's joints.

    The Head is the mean of its joints that were found (an eye is often hidden); every other joint is missing when one
    of its joints is.

    Args:
        keypoints: (..., J, 2) pixels, y down; NaN where a joint is missing.
        scores: (..., J).
        trained_on: 'gt' or 'sh', the detections on which the model was trained.
    Returns:
        (..., 16, 2) pixels, and (..., 16) the lowest score of the joints that each is made of.
    """
    index = _means_of_four(layout, trained_on)
    gathered = keypoints[..., index, :]  # (..., 16, 4, 2)
    made = gathered.mean(-2)
    made_scores = scores[..., index].min(-1)
    if len(layout.head) > 1:
        _complete_head(made, made_scores, gathered[..., HEAD, :, :], scores[..., index[HEAD]])
    if layout.raised_over is not None:
        base = layout.joint_names.index(layout.raised_over)
        rise = made[..., HEAD, 1] - keypoints[..., base, 1]
        made[..., HEAD, 1] += np.where(np.isnan(rise), 0, rise)
        made_scores[..., HEAD] = np.where(np.isnan(rise), made_scores[..., HEAD],
                                          np.minimum(made_scores[..., HEAD], scores[..., base]))
    return made, made_scores


def _complete_head(made: np.ndarray, made_scores: np.ndarray, parts: np.ndarray, part_scores: np.ndarray) -> None:
    """Where some joints of the Head are missing, make it of the others."""
    found = np.isfinite(parts).all(-1)  # (..., 4)
    some = found.any(-1) & ~found.all(-1)
    if some.any():
        count = found.sum(-1)[..., None]
        mean = np.where(found[..., None], parts, 0).sum(-2) / np.maximum(count, 1)
        made[..., HEAD, :] = np.where(some[..., None], mean, made[..., HEAD, :])
        lowest = np.where(found, part_scores, np.inf).min(-1)
        made_scores[..., HEAD] = np.where(some, lowest, made_scores[..., HEAD])
