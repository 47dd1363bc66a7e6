"""A dataset: its skeleton, cameras, splits and rate (`DatasetSpec`), and its motion (`MocapDataset`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.geometry.camera import Camera
from common.geometry.skeleton import Skeleton

Keypoints = dict[str, dict[str, list[np.ndarray]]]  # {subject: {action: [(T, J, 2) for each camera]}}, normalised


def kind_of(action: str) -> str:
    """The kind of an action: the word before the space (`Walking 1` is `Walking`, `SittingDown` is not `Sitting`)."""
    return action.split(' ')[0]


@dataclass(kw_only=True)
class DatasetSpec:
    """A dataset without its motion.

    Attributes:
        name: as in `data_3d_<name>.npz`.
        skeleton: the J joints of the networks, the root first.
        file_skeleton: the joints of the file's 3D, which include the joints of `skeleton`.
        cameras: {subject: its cameras}, for every subject.
        camera_coordinates: subjects whose positions in the file are in the coordinates of their only camera: x right,
            y down, z forward. They are read into a world in which this camera is level.
        train_subjects, test_subjects: the splits.
        action_order: kinds of action in the order of tables; others follow in the order of the file.
        left_out: (subject, action) of sequences that are not used.
        pck_joints: names of the joints that count for PCK and AUC; if there are some, evaluations print both.
        frame_numbers: {subject: {action: [first, step]}}: frame k of an action is frame `first + step * k` of its
            video; [0, 1] where none are given.
        synthetic: made by this project, so that evaluations print the error of a baseline too.
        fps: frames a second.
    """

    name: str
    skeleton: Skeleton
    file_skeleton: Skeleton
    cameras: dict[str, tuple[Camera, ...]]
    camera_coordinates: tuple[str, ...] = ()
    train_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    action_order: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    pck_joints: tuple[str, ...] = ()
    frame_numbers: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    synthetic: bool = False
    fps: float = 50

    @property
    def subjects(self) -> list[str]:
        return list(self.cameras)

    @property
    def file_joints(self) -> list[int]:
        """(J,) index of each joint of `skeleton` in the file's 3D."""
        return [self.file_skeleton.names.index(name) for name in self.skeleton.names]

    @property
    def spec(self) -> DatasetSpec:
        """The dataset without its motion."""
        return DatasetSpec(**{part.name: getattr(self, part.name) for part in dataclasses.fields(DatasetSpec)})

    def as_dict(self) -> dict[str, Any]:
        """Plain data and arrays, for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self.spec)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> DatasetSpec:
        """The spec of `as_dict`, where tuples and arrays have become lists."""
        cameras = {subject: tuple(map(Camera.from_dict, views)) for subject, views in content['cameras'].items()}
        skeletons = {name: Skeleton.from_dict(content[name]) for name in ('skeleton', 'file_skeleton')}
        lists = {name: tuple(tuple(item) if isinstance(item, list) else item for item in value)
                 for name, value in content.items() if isinstance(value, list)}
        return cls(**{**content, **lists, **skeletons, 'cameras': cameras})


@dataclass(kw_only=True)
class MocapDataset(DatasetSpec):
    """A dataset with its motion.

    Attributes:
        positions: {subject: {action: (T, J, 3) float32}}, world coordinates, metres, z up.
    """

    positions: dict[str, dict[str, np.ndarray]]
    kinds: list[str] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys(kind_of(action) for actions in self.positions.values() for action in actions)
        self.kinds = [kind for kind in self.action_order if kind in found]
        self.kinds += [kind for kind in found if kind not in self.kinds]

    def sequences(self, subjects: Iterable[str], kinds: Iterable[str]) -> list[tuple[str, str]]:
        """(subject, action) of the subjects' sequences of some kinds of action."""
        wanted = set(kinds)
        return [(subject, action) for subject in subjects for action in self.positions.get(subject, ())
                if kind_of(action) in wanted]
