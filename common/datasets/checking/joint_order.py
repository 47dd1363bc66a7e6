"""The order of joints in a file of 2D keypoints, found from the file's metadata and from its poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.datasets import h36m
from common.datasets.mocap import DatasetSpec
from common.errors import UserError, listing, printable
from common.geometry.camera import Camera, project, world_to_camera
from common.geometry.detector_layouts import LAYOUTS

# Median distance between the joints and the projected 3D, relative to the size of the pose: below 0.05 in correct
# files, 0.13 and more with exchanged sides, 0.18 and more with other orders or other cameras.
MAX_DISTANCE = 0.12
NEAR = 0.1  # metres: positions this close to the camera are relative to the root, not in camera coordinates


@dataclass(frozen=True)
class JointOrder:
    """Names of the joints of a 2D file, in its order; joints that Human3.6M has too have its names."""

    title: str
    names: tuple[str, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    @classmethod
    def of_layout(cls, title: str, layout: str) -> JointOrder:
        """The order of a detector's layout."""
        return cls(title, LAYOUTS[layout].names_as_in_h36m, *LAYOUTS[layout].sides)

    @property
    def sides(self) -> set[frozenset[int]]:
        """The left and the right joints, as sets: the order of joints and of the two sides differs between files."""
        return {frozenset(self.left), frozenset(self.right)}


# Stacked Hourglass files of VideoPose3D. Networks that were trained on such files use Thorax and UpperNeck as Spine and
# Thorax, other networks do not. The file does not show which is meant, so it is not converted.
MPII = JointOrder.of_layout('MPII order (data/prepare_data_2d_h36m_sh.py makes Stacked Hourglass files in the right '
                            'order)', 'mpii16')
COCO = JointOrder.of_layout('COCO order', 'coco17')


def layouts(spec: DatasetSpec) -> list[JointOrder]:
    """Layouts that a 2D file of this dataset may have: its own, and layouts of common files."""
    own = spec.file_skeleton if len(spec.file_skeleton) == len(spec.skeleton) else spec.skeleton
    full = h36m.skeleton_17()
    found = [JointOrder("the dataset's order", own.names, own.left, own.right)]
    for layout in (JointOrder('Human3.6M order', full.names, full.left, full.right), MPII, COCO):
        lengths = {len(other.names) for other in found}
        if layout.names != own.names and (set(own.names) <= set(layout.names) or len(layout.names) in lengths):
            found.append(layout)
    return found


def usable_layouts(path: str, spec: DatasetSpec, known: list[JointOrder], metadata: Any,
                   joints: int) -> list[JointOrder]:
    """Layouts that agree with the number of joints and with the file's metadata.

    Args:
        metadata: {'num_joints', 'keypoints_symmetry', 'layout_name'} as in VideoPose3D's files, each optional; or None.
    Raises:
        UserError: no layout agrees, or all that agree lack joints of the dataset.
    """
    metadata = metadata if isinstance(metadata, dict) else {}
    stated = metadata.get('num_joints', joints)
    if not isinstance(stated, int | np.integer) or stated != joints:
        raise UserError(f'{path}: its metadata states {printable(stated)} joints, its arrays have {joints}.')
    found = [layout for layout in known if len(layout.names) == joints]
    symmetry = metadata.get('keypoints_symmetry')
    if symmetry is not None:
        try:
            sides = {frozenset(map(int, side)) for side in symmetry}
        except (TypeError, ValueError) as error:
            raise UserError(f'{path}: its keypoints_symmetry is no pair of lists of joint numbers.') from error
        found = [layout for layout in found if layout.sides == sides]
    layout_name = metadata.get('layout_name')
    if isinstance(layout_name, str) and layout_name == 'coco':
        found = [layout for layout in found if layout.sides == COCO.sides]
    missing = [[name for name in spec.skeleton.names if name not in layout.names] for layout in found]
    usable = [layout for layout, names in zip(found, missing) if not names]
    if found and not usable:
        raise UserError(f'{path}: its joints are in {found[0].title}, which lacks {listing(missing[0])} of the joints '
                        f'of {spec.name}; make the 2D with a detector of these joints.')
    if not usable:
        raise UserError(f'{path}: its {joints} joints, left and right ones {printable(symmetry)}, are in no order that '
                        f'is known for {spec.name}, whose joints are {listing(spec.skeleton.names, 40)}.')
    return usable


@dataclass(frozen=True)
class Sample:
    """A frame of a 2D file and its 3D: (F, 2) normalised, in the file's order, and (J, 3) world coordinates."""

    subject: str
    view: int
    camera: Camera
    keypoints: np.ndarray
    positions: np.ndarray


def choose_order(path: str, spec: DatasetSpec, usable: list[JointOrder], known: list[JointOrder],
                 samples: list[Sample]) -> list[int]:
    """(J,) index of each joint of the skeleton in the file, by the usable layout that fits the 3D best.

    Raises:
        UserError: for a subject and camera it does not fit; the sentence names a known layout that fits.
    """
    scores = {layout: _distances(samples, spec, layout.names) for layout in usable}
    best = min(usable, key=lambda layout: np.median(list(scores[layout].values())))
    names = list(best.names)
    for left, right in zip(best.left, best.right):
        names[left], names[right] = names[right], names[left]
    exchanged = JointOrder(f'{best.title} with left and right exchanged', tuple(names), (), ())
    mirrored = _distances(samples, spec, exchanged.names)
    for key, distance in scores[best].items():
        if distance > MAX_DISTANCE or mirrored[key] < distance / 3:
            readings = [exchanged, *(layout for layout in known if len(layout.names) == len(names))]
            fitting = [layout.title for layout in readings
                       if _distances(samples, spec, layout.names).get(key, np.inf) < MAX_DISTANCE / 2]
            raise UserError(f'{path}: the 2D of {key[0]} in camera {key[1]} does not show the 3D, its joints are '
                            f"{distance:.0%} of a pose's size apart: "
                            + (f'their order seems to be {fitting[0]}.' if fitting else
                               'either the order of joints, the camera or the frames are not the same.'))
    return [best.names.index(name) for name in spec.skeleton.names]


def _distances(samples: list[Sample], spec: DatasetSpec, names: tuple[str, ...]) -> dict[tuple[str, int], float]:
    """{(subject, view): median distance of joints of these names from the projected 3D, in pose sizes}."""
    found: dict[tuple[str, int], list[float]] = {}
    shared = [(joint, names.index(name)) for joint, name in enumerate(spec.skeleton.names) if name in names]
    if len(shared) < len(spec.skeleton) / 2:
        return {}
    ours, theirs = map(list, zip(*shared))
    for sample in samples:
        expected, given = _expected(sample.positions[ours], sample.camera), sample.keypoints[theirs]
        if not sample.camera.is_calibrated:  # the image of an unknown lens: fit place and size, too
            expected, given = expected - expected.mean(0), given - given.mean(0)
            expected = expected * max((expected * given).sum(), 0) / max((expected * expected).sum(), 1e-12)
            size = np.ptp(given, axis=0).max()
        else:
            size = np.ptp(expected, axis=0).max()
        distance = np.linalg.norm(given - expected, axis=1).mean() / max(size, 1e-12)
        found.setdefault((sample.subject, sample.view), []).append(distance)
    return {key: float(np.median(values)) for key, values in found.items()}


def _expected(positions: np.ndarray, camera: Camera) -> np.ndarray:
    in_camera = world_to_camera(positions, camera)
    if camera.is_calibrated:
        return project(in_camera, camera)
    return in_camera[:, :2] / in_camera[:, 2:] if in_camera[:, 2].min() > NEAR else in_camera[:, :2]
