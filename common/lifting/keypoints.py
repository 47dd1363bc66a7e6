"""Keypoint layouts: how the joints of each 2D detector become the 16 joints that the networks work on.

Hips, knees, feet, shoulders, elbows and wrists are the detector's own. Spine, Thorax and Head are approximations
wherever a detector has no such joint: the mean of joints around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.datasets import h36m
from common.errors import UserError, listing

JOINTS = 16
HIP, SPINE, THORAX, HEAD = 0, 7, 8, 9
LEGS = ((1, 4), (2, 5), (3, 6))  # (right, left) hip, knee, foot
ARMS = ((13, 10), (14, 11), (15, 12))  # shoulder, elbow, wrist
TRAINED_ON = ('gt', 'sh')
Sources = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Layout:
    """The joints of a detector, and which of them make each of the 16.

    Attributes:
        joints: how many the detector has.
        sources: for each of the 16, the detector's joints whose mean it is: 1, 2 or 4 of them.
        sources_sh: the same for models trained on Stacked Hourglass detections, where it differs.
        nose: the joint from which the Head is raised by its height above it; None where the Head is a plain mean.
        approximate: names of the joints that this detector does not really have.
    """

    name: str
    joints: int
    sources: Sources
    sources_sh: Sources | None = None
    nose: int | None = None
    approximate: tuple[str, ...] = ()

    def sources_for(self, trained_on: str) -> Sources:
        return self.sources_sh if trained_on == 'sh' and self.sources_sh else self.sources


def _sources(hip, right_leg, left_leg, middle, left_arm, right_arm) -> Sources:
    """`middle` is Spine, Thorax and Head; an int stands for the joint itself, a tuple for a mean."""
    joints = [hip, *right_leg, *left_leg, *middle, *left_arm, *right_arm]
    return tuple(joint if isinstance(joint, tuple) else (joint,) for joint in joints)


def _mpii(spine, thorax) -> Sources:
    return _sources(6, (2, 1, 0), (3, 4, 5), (spine, thorax, 9), (13, 14, 15), (12, 11, 10))


_COCO = _sources((11, 12), (12, 14, 16), (11, 13, 15), ((5, 6, 11, 12), (5, 6), (1, 2)), (5, 7, 9), (6, 8, 10))
_BODY_25 = _sources(8, (9, 10, 11), (12, 13, 14), ((1, 8), 1, (15, 16)), (5, 6, 7), (2, 3, 4))
_MEDIAPIPE = _sources((23, 24), (24, 26, 28), (23, 25, 27), ((11, 12, 23, 24), (11, 12), (7, 8)), (11, 13, 15),
                      (12, 14, 16))
_HALPE = _sources(19, (12, 14, 16), (11, 13, 15), ((18, 19), 18, 17), (5, 7, 9), (6, 8, 10))
_H36M_16 = tuple((joint,) for joint in range(JOINTS))
_H36M_17 = tuple((joint + (joint >= h36m.NECK_IN_17),) for joint in range(JOINTS))
_MIDDLE = ('Spine', 'Thorax', 'Head')

LAYOUTS = {layout.name: layout for layout in (
    Layout('coco17', 17, _COCO, nose=0, approximate=('Hip', *_MIDDLE)),
    Layout('body25', 25, _BODY_25, approximate=('Spine', 'Head')),
    Layout('mediapipe33', 33, _MEDIAPIPE, approximate=('Hip', *_MIDDLE)),
    Layout('halpe26', 26, _HALPE, approximate=('Spine',)),
    # Published SH models were trained with thorax and upper neck in the places of Spine and Thorax.
    Layout('mpii16', 16, _mpii((2, 3, 12, 13), 7), sources_sh=_mpii(7, 8), approximate=('Spine',)),
    Layout('h36m17', 17, _H36M_17),
    Layout('h36m16', 16, _H36M_16),
)}


def layout_named(name: str) -> Layout:
    """Raises UserError: there is no such layout."""
    if name not in LAYOUTS:
        raise UserError(f'there is no layout {name}; there are {listing(LAYOUTS)}.')
    return LAYOUTS[name]


def choose_layout(joints: int, name: str | None = None, hint: str | None = None, where: str = 'the input') -> Layout:
    """The layout of so many joints.

    Args:
        name: what the user says; it must fit the number.
        hint: what the file's format implies; taken where it fits the number.
    Raises:
        UserError: no layout has so many joints, or several have and nothing tells which it is.
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


def to_h36m(keypoints: np.ndarray, scores: np.ndarray, layout: Layout,
            trained_on: str = 'gt') -> tuple[np.ndarray, np.ndarray]:
    """Make the 16 joints of a detector's.

    The Head is the mean of those of its joints that are there (an eye is often hidden); every other joint is missing
    when one of its joints is.

    Args:
        keypoints: (..., J, 2) pixels, y down; NaN where a joint is missing.
        scores: (..., J).
        trained_on: 'gt' or 'sh', what the model was trained on.
    Returns:
        (..., 16, 2) pixels, and (..., 16) the lowest score of the joints that each is made of.
    """
    sources = layout.sources_for(trained_on)
    index = np.array([(joints * 4)[:4] for joints in sources])  # a mean of 1, 2 or 4 is one of 4 with repetitions
    gathered = keypoints[..., index, :]
    made = gathered.mean(-2)
    made_scores = scores[..., index].min(-1)
    if len(sources[HEAD]) > 1:
        _complete_head(made, made_scores, gathered[..., HEAD, :, :], scores[..., index[HEAD]])
    if layout.nose is not None:
        nose = keypoints[..., layout.nose, 1]
        rise = made[..., HEAD, 1] - nose
        made[..., HEAD, 1] += np.where(np.isnan(rise), 0, rise)
        made_scores[..., HEAD] = np.where(np.isnan(rise), made_scores[..., HEAD],
                                          np.minimum(made_scores[..., HEAD], scores[..., layout.nose]))
    return made, made_scores


def _complete_head(made, made_scores, parts, part_scores):
    """Where some joints of the Head are missing, make it of the others."""
    there = np.isfinite(parts).all(-1)  # (..., 4)
    some = there.any(-1) & ~there.all(-1)
    if some.any():
        count = there.sum(-1)[..., None]
        mean = np.where(there[..., None], parts, 0).sum(-2) / np.maximum(count, 1)
        made[..., HEAD, :] = np.where(some[..., None], mean, made[..., HEAD, :])
        lowest = np.where(there, part_scores, np.inf).min(-1)
        made_scores[..., HEAD] = np.where(some, lowest, made_scores[..., HEAD])
