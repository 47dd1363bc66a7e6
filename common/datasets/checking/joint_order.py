"""The order of joints in a file of 2D keypoints, found from the file's metadata and from its poses.

A file has the data set's own order, or the layout of a detector, from which `predict.py`'s tables compute the joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.datasets.checking.agreement import MAX_DISTANCE, distance_of, exchanged_sides, joint_distances, pose_size
from common.datasets.mocap import DatasetSpec
from common.errors import UserError, listing, printable, warn
from common.geometry.camera import Camera
from common.geometry.detector_layouts import LAYOUTS, SIXTEEN, Layout, canonical_name, to_h36m

TITLES = {'coco17': 'COCO order (coco17)', 'mpii16': 'MPII order (mpii16)', 'h36m16': 'Human3.6M order',
          'h36m17': 'Human3.6M order'}
# `layout_name` of other programs' files, and the orders that it may mean.
NAMES_ELSEWHERE = {'coco': ('coco17',), 'mpii': ('mpii16', 'mpii16_sh'), 'halpe': ('halpe26',)}
CLEAR = 0.75  # ratio of the distances of the best and of another order, at most, for a clear choice
SAME = 0.02  # of the size of a pose: two orders whose joints are this close are the same


@dataclass(frozen=True, eq=False)
class JointOrder:
    """An order of joints that a 2D file may have.

    Attributes:
        title: for sentences.
        joints: F, number of joints of the file.
        sides: the left and the right joints of the file, as sets: their order differs between files.
        index: (J,) where the joints of the data set stand: in the file, or among the 16 joints for a layout.
        missing: names of the joints of the data set that it lacks; an order that lacks some is recognised only.
        layout: of a detector; None for the data set's own order.
        trained_on: as for `to_h36m`.
    """

    title: str
    joints: int
    sides: frozenset[frozenset[int]]
    index: tuple[int, ...]
    missing: tuple[str, ...] = ()
    layout: Layout | None = None
    trained_on: str = 'gt'

    @property
    def name(self) -> str:
        """Of a layout, as `layout_name` may state it; '' for the data set's own order."""
        return '' if self.layout is None else self.layout.name + ('_sh' if self.trained_on == 'sh' else '')

    def joints_of(self, keypoints: np.ndarray) -> np.ndarray:
        """(..., J, 2) the joints of the data set, of the file's (..., F, 2); NaN for joints that the order lacks."""
        if self.layout is not None:
            keypoints = to_h36m(keypoints, np.ones(keypoints.shape[:-1], np.float32), self.layout, self.trained_on)[0]
        taken = np.ascontiguousarray(keypoints[..., list(self.index), :])
        if self.missing:
            taken[..., [joint for joint, place in enumerate(self.index) if place < 0], :] = np.nan
        return taken


def known_orders(spec: DatasetSpec) -> list[JointOrder]:
    """The orders of a 2D file of this dataset: its own, and the orders of detectors if its joints are a body's."""
    own = spec.file_skeleton if len(spec.file_skeleton) == len(spec.skeleton) else spec.skeleton
    found = [JointOrder("the dataset's order", len(own), frozenset(map(frozenset, (own.left, own.right))),
                        tuple(map(own.names.index, spec.skeleton.names)))]
    names = [canonical_name(name).replace('foot', 'ankle') for name in spec.skeleton.names]
    index = tuple(SIXTEEN.index(name) if name in SIXTEEN else -1 for name in names)
    missing = tuple(name for name, place in zip(spec.skeleton.names, index) if place < 0)
    if len(missing) * 2 > len(index):
        return found
    for layout in LAYOUTS.values():
        title, sides = TITLES.get(layout.name, f'the order of {layout.name}'), frozenset(map(frozenset, layout.sides))
        if layout.name == 'h36m16' and own.names == spec.skeleton.names and index == tuple(range(len(SIXTEEN))):
            continue  # the data set's own
        found.append(JointOrder(title, layout.joints, sides, index, missing, layout))
        if layout.spine_sh:
            found.append(JointOrder(f'{title}, with Spine and Thorax as Stacked Hourglass networks are trained on them',
                                    layout.joints, sides, index, missing, layout, 'sh'))
    return found


def usable_orders(path: str, spec: DatasetSpec, known: list[JointOrder], metadata: Any,
                  joints: int) -> list[JointOrder]:
    """Orders that agree with the number of joints and with the file's metadata.

    Args:
        metadata: {'num_joints', 'keypoints_symmetry', 'layout_name'} as in VideoPose3D's files, each optional; or None.
    Raises:
        UserError: no order agrees, or all that agree lack joints of the dataset.
    """
    metadata = metadata if isinstance(metadata, dict) else {}
    stated = metadata.get('num_joints', joints)
    if not isinstance(stated, int | np.integer) or stated != joints:
        raise UserError(f'{path}: its metadata states {printable(stated)} joints, its arrays have {joints}.')
    stated_name = str(metadata.get('layout_name'))
    named = [order for order in known if order.name in NAMES_ELSEWHERE.get(stated_name, (stated_name,))]
    found = [order for order in named or known if order.joints == joints
             and (named or order.layout is None or not order.layout.by_hint)]
    symmetry = metadata.get('keypoints_symmetry')
    if symmetry is not None:
        try:
            sides = {frozenset(map(int, side)) for side in symmetry}
        except (TypeError, ValueError) as error:
            raise UserError(f'{path}: its keypoints_symmetry is not a pair of lists of joint numbers.') from error
        found = [order for order in found if order.sides == sides]
    usable = [order for order in found if not order.missing]
    if found and not usable:
        raise UserError(f'{path}: its joints are in {found[0].title}, which lacks {listing(found[0].missing)} of the '
                        f'joints of {spec.name}; make the 2D with a detector of these joints.')
    if not usable:
        raise UserError(f'{path}: its {joints} joints, left and right ones {printable(symmetry)}, are in no order that '
                        f'is known for {spec.name}, whose joints are {listing(spec.skeleton.names, 40)}.')
    return usable


@dataclass(frozen=True)
class Sample:
    """Some frames of a subject in a camera: 2D (S, F, 2) in the file's order, and (S, J, 2) where they are expected."""

    subject: str
    view: int
    camera: Camera
    keypoints: np.ndarray
    expected: np.ndarray

    def distance(self, order: JointOrder, exchanged: list[int] | None = None) -> float:
        """The median distance of the joints of an order, in pose sizes; `exchanged` gives left for right."""
        given = order.joints_of(self.keypoints)
        return distance_of(given if exchanged is None else given[:, exchanged], self.expected, self.camera)


def choose_order(path: str, spec: DatasetSpec, usable: list[JointOrder], known: list[JointOrder],
                 samples: list[Sample]) -> JointOrder:
    """The usable order that fits the 3D best. A warning says which detector's layout is converted.

    Raises:
        UserError: for a subject and camera it does not fit; the sentence names a known order that fits. Or two orders
            fit alike.
    """
    fits = {order: np.array([sample.distance(order) for sample in samples]) for order in usable}
    best = min(usable, key=lambda order: _median(fits[order]))
    exchanged = exchanged_sides(spec.skeleton)
    for sample, distance in zip(samples, fits[best], strict=True):
        mirrored = sample.distance(best, exchanged)
        if distance > MAX_DISTANCE or mirrored < distance / 3:
            fitting = [f'{best.title} with left and right exchanged'] if mirrored < MAX_DISTANCE / 2 else []
            fitting += [order.title for order in known if order.joints == best.joints and order not in usable
                        and sample.distance(order) < MAX_DISTANCE / 2]
            raise UserError(f'{path}: the 2D of {sample.subject} in camera {sample.view} does not show the 3D, its '
                            f"joints are {distance:.0%} of a pose's size apart: "
                            + (f'their order seems to be {fitting[0]}.' if fitting else
                               'either the order of joints, the camera or the frames are not the same.'))
    for other in usable:
        if other is not best and not _clearly(best, other, samples):
            raise UserError(f'{path}: its {best.joints} joints fit the 3D in {best.title} and in {other.title} alike: '
                            f'state layout_name in its metadata; docs/datasets.md lists the names.')
    if best.layout is not None and best.layout.name not in ('h36m16', 'h36m17'):
        sources = best.layout.sources(best.trained_on)
        means = [name for name, joint in zip(spec.skeleton.names, best.index) if len(sources[joint]) > 1]
        approximate = f'; means of the joints around approximate {listing(means)}' if means else ''
        warn(f'{path}: its {best.joints} joints are in {best.title}, and are converted to the joints of {spec.name}'
             f'{approximate}.')
    return best


def _clearly(best: JointOrder, other: JointOrder, samples: list[Sample]) -> bool:
    """Whether the joints that differ between two orders are closer to the 3D in the best, or are nearly the same."""
    ours, theirs = [], []
    for sample in samples:
        one, two = (order.joints_of(sample.keypoints) for order in (best, other))
        readings = [joint_distances(each, sample.expected, sample.camera) for each in (one, two)]
        apart = np.linalg.norm(one - two, axis=2) / np.maximum(pose_size(one), 1e-12)[:, None]
        differ = apart > SAME
        ours.append(readings[0][differ])
        theirs.append(readings[1][differ])
    one_order, other_order = np.concatenate(ours), np.concatenate(theirs)
    known = np.isfinite(one_order) & np.isfinite(other_order)
    return not known.any() or bool(one_order[known].mean() <= CLEAR * other_order[known].mean())


def _median(values: np.ndarray) -> float:
    """Of the values that are numbers; infinite if there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.inf
