"""A dataset and its keypoints, paired and split into training and test, or taken from the cache of such pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from common.datasets.cache import Outline, PoseCache, Prepared
from common.datasets.loading import (
    DataOptions,
    load_dataset,
    load_keypoints,
    select_kinds,
)
from common.datasets.mocap import Keypoints, MocapDataset
from common.datasets.poses import Poses, pair
from common.errors import UserError, listing, recorded_warnings, warn
from common.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class Sources:
    """What is in the data's files, the kinds of action that are wanted of it, and what reading it warned of."""

    dataset: MocapDataset
    keypoints: Keypoints
    kinds: list[str]
    warnings: list[str]

    def outline(self) -> Outline:
        dataset = self.dataset
        return Outline(dataset.name, dataset.train_subjects, dataset.test_subjects, dataset.synthetic)


class Data:
    """A dataset paired with its keypoints, split by split, each read when it is asked for.

    Raises:
        UserError: from any member, where the data cannot be used.
    """

    def __init__(self, options: DataOptions) -> None:
        self.options = options
        self._cache = PoseCache(options)
        self._sources: Sources | None = None
        self._given: set[str] = set()
        self._told: set[str] = set()

    @cached_property
    def outline(self) -> Outline:
        """The dataset without its motion."""
        return self._cache.outline() or self._read().outline()

    @property
    def skeleton(self) -> Skeleton:
        return self.outline.skeleton

    @property
    def test_subjects(self) -> tuple[str, ...]:
        return self.outline.test_subjects

    def train(self) -> Poses:
        """The training subjects, without those kept out for validation."""
        return self._split('train').poses

    def validation(self) -> Poses:
        """The subjects kept out of training to choose the epoch by."""
        unknown = set(self.options.val_subjects) - set(self.outline.train_subjects)
        if unknown:
            raise UserError(f'--val_subjects {listing(sorted(unknown))}: {self.options.dataset} has the training '
                            f'subjects {listing(self.outline.train_subjects)}.')
        return self._split('validation').poses

    def test(self) -> Poses:
        return self._split('test').poses

    def mean_pose(self, train: Poses | None = None) -> Tensor | None:
        """(J, 3) the mean training pose, for data on which errors mean something only beside it."""
        return (train or self.train()).positions.mean(0) if self.outline.synthetic else None

    def _split(self, name: str) -> Prepared:
        prepared = self._cache.load(name)
        if prepared is None:
            prepared = self._prepare(name)
            self._cache.save(name, prepared)
        else:
            for sentence in prepared.warnings:
                if sentence not in self._told:
                    warn(sentence)
        self._told.update(prepared.warnings)
        self._given.add(name)
        if len(self._given) > 1:  # enough for a training; the sources are as large as its poses, so they are let go
            self._sources = None
        return prepared

    def _prepare(self, name: str) -> Prepared:
        sources = self._read()
        outline = sources.outline()
        kept_out = self.options.val_subjects
        subjects = {'train': tuple(subject for subject in outline.train_subjects if subject not in kept_out),
                    'validation': kept_out, 'test': outline.test_subjects}[name]
        with recorded_warnings() as warnings:
            poses = pair(sources.dataset, sources.keypoints, subjects, sources.kinds, self.options.downsample)
        return Prepared(poses, subjects, outline, (*sources.warnings, *warnings))

    def _read(self) -> Sources:
        if self._sources is None:
            with recorded_warnings() as warnings:
                dataset = load_dataset(self.options.dataset, self.options.data_dir)
                kinds = select_kinds(dataset, self.options.actions)
                keypoints = load_keypoints(dataset, self.options.keypoints, self.options.data_dir)
            self._sources = Sources(dataset, keypoints, kinds, warnings)
        return self._sources
