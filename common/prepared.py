"""A dataset and its keypoints, paired and split into training and test."""

from __future__ import annotations

from torch import Tensor

from common.data_utils import DataOptions, Poses, load_dataset, load_keypoints, pair, select_kinds
from common.errors import UserError, listing
from common.mocap_dataset import MocapDataset
from common.skeleton import Skeleton


class Data:
    """A dataset paired with its keypoints, split by split."""

    def __init__(self, options: DataOptions) -> None:
        self.options = options
        self.dataset: MocapDataset = load_dataset(options.dataset, options.data_dir)
        self.kinds = select_kinds(self.dataset, options.actions)
        self.keypoints = load_keypoints(self.dataset, options.keypoints, options.data_dir)

    @property
    def skeleton(self) -> Skeleton:
        return self.dataset.skeleton

    @property
    def test_subjects(self) -> tuple[str, ...]:
        return self.dataset.test_subjects

    def split(self, subjects: tuple[str, ...]) -> Poses:
        return pair(self.dataset, self.keypoints, subjects, self.kinds, self.options.downsample)

    def train(self) -> Poses:
        """The training subjects, without those kept out for validation."""
        return self.split(tuple(subject for subject in self.dataset.train_subjects
                                if subject not in self.options.val_subjects))

    def validation(self) -> Poses:
        """The subjects kept out of training to choose the epoch by."""
        unknown = set(self.options.val_subjects) - set(self.dataset.train_subjects)
        if unknown:
            raise UserError(f'--val_subjects {listing(sorted(unknown))}: {self.options.dataset} has the training '
                            f'subjects {listing(self.dataset.train_subjects)}.')
        return self.split(self.options.val_subjects)

    def test(self) -> Poses:
        return self.split(self.dataset.test_subjects)

    def mean_pose(self, train: Poses | None = None) -> Tensor | None:
        """(J, 3) the mean training pose, for data on which errors mean something only beside it."""
        return (train or self.train()).positions.mean(0) if self.dataset.synthetic else None
