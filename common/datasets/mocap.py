"""What a dataset is: who moves, in which actions, and which cameras look on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from common.geometry.camera import Camera
from common.geometry.skeleton import Skeleton

Keypoints = dict[str, dict[str, list[np.ndarray]]]  # {subject: {action: [(T, J, 2) for each camera]}}, normalised


def kind_of(action: str) -> str:
    """The kind of an action: the word before the space (`Walking 1` is `Walking`, `SittingDown` is not `Sitting`)."""
    return action.split(' ')[0]


@dataclass
class MocapDataset:
    """Motion capture of several subjects seen by calibrated cameras.

    Attributes:
        name: as in `data_3d_<name>.npz`.
        skeleton: of J joints, the hip first.
        cameras: {subject: cameras}.
        positions: {subject: {action: (T, J, 3) float32}}, world coordinates, metres.
        train_subjects, test_subjects: the published splits, as far as the dataset has their subjects.
        action_order: kinds of action in the order of tables; others follow as they come.
        synthetic: made by this project, so that errors on it mean something only beside a baseline's.
        fps: frames a second.
    """

    name: str
    skeleton: Skeleton
    cameras: dict[str, tuple[Camera, ...]]
    positions: dict[str, dict[str, np.ndarray]]
    train_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    action_order: tuple[str, ...] = ()
    synthetic: bool = False
    fps: float = 50
    _kinds: list[str] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys(kind_of(action) for actions in self.positions.values() for action in actions)
        self._kinds = [kind for kind in self.action_order if kind in found]
        self._kinds += [kind for kind in found if kind not in self._kinds]

    @property
    def subjects(self) -> list[str]:
        return list(self.positions)

    @property
    def kinds(self) -> list[str]:
        """Every kind of action that the dataset has."""
        return self._kinds

    def sequences(self, subjects: Iterable[str], kinds: Iterable[str]) -> list[tuple[str, str]]:
        """(subject, action) of the subjects' sequences of some kinds of action."""
        wanted = set(kinds)
        return [(subject, action) for subject in subjects for action in self.positions.get(subject, ())
                if kind_of(action) in wanted]
