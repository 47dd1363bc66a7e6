"""A dataset and its keypoints, paired and split into training, validation and test, or read from the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from common.datasets.cache import PoseCache, Prepared
from common.datasets.loading import DataOptions, load_dataset, load_keypoints, select_kinds
from common.datasets.mocap import DatasetSpec, Keypoints, MocapDataset
from common.datasets.poses import Poses, pair
from common.datasets.visibility import with_joints
from common.errors import UserError, listing, recorded_warnings, warn
from common.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class Sources:
    """The content of the data's files, the chosen kinds of action, and the warnings of reading."""

    dataset: MocapDataset
    keypoints: Keypoints
    kinds: list[str]
    warnings: list[str]


class Data:
    """A dataset paired with its keypoints; each split is read at its first use.

    Raises:
        UserError: from any member, if the data cannot be used.
    """

    def __init__(self, options: DataOptions) -> None:
        self.options = options
        self._cache = PoseCache(options)
        self._sources: Sources | None = None
        self._loaded: set[str] = set()
        self._warned: set[str] = set()

    @cached_property
    def spec(self) -> DatasetSpec:
        """The dataset without its motion."""
        return self._cache.spec() or self._read().dataset.spec

    @property
    def skeleton(self) -> Skeleton:
        return self.spec.skeleton

    @property
    def test_subjects(self) -> tuple[str, ...]:
        return self.subjects('test')

    @property
    def fps(self) -> float:
        """Rate of the recordings, of which `--downsample` uses every Nth frame."""
        return self.spec.fps

    def train(self, fewest: float = 1.0) -> Poses:
        """Poses of the training subjects, without the validation subjects.

        Args:
            fewest: share of the joints that have 2D in a pose, at least; poses with fewer are left out, with a warning.
                1 is for networks that need all joints, 0 for virtual cameras, which use the 3D alone.
        """
        return self._chosen('train', fewest)

    def validation(self, fewest: float = 1.0) -> Poses:
        """Poses of the subjects that are kept out of training and choose the epoch; `fewest` as for `train`."""
        return self._chosen('validation', fewest)

    def test(self, fewest: float = 1.0) -> Poses:
        """Poses of the test subjects; `fewest` as for `train`."""
        return self._chosen('test', fewest)

    def mean_pose(self, train: Poses | None = None) -> Tensor | None:
        """(J, 3) the mean training pose of synthetic data, a baseline; None for other data."""
        return (train or self.train()).positions.mean(0) if self.spec.synthetic else None

    def subjects(self, split: str) -> tuple[str, ...]:
        """Subjects of 'train', 'validation' or 'test': chosen by flags, otherwise the dataset's.

        Raises:
            UserError: there are no subjects, or the dataset lacks them.
        """
        options, spec = self.options, self.spec
        train = options.train_subjects or spec.train_subjects
        chosen, flag = {'train': (train, '--train_subjects'), 'validation': (options.val_subjects, '--val_subjects'),
                        'test': (options.test_subjects or spec.test_subjects, '--test_subjects')}[split]
        known = train if split == 'validation' else spec.subjects
        if unknown := [subject for subject in chosen if subject not in known]:
            kind = 'training subjects' if split == 'validation' else 'subjects'
            raise UserError(f'{flag} {listing(unknown)}: {spec.name} has the {kind} {listing(known)}.')
        if not chosen:
            raise UserError(f'{spec.name} names no subjects to {split}: choose some of {listing(known)} with {flag}.')
        left_out = options.val_subjects if split == 'train' else ()
        return tuple(subject for subject in dict.fromkeys(chosen) if subject not in left_out)

    def _chosen(self, name: str, fewest: float) -> Poses:
        poses = self._split(name).poses
        if self.options.downsample > 1:
            poses = replace(poses, whole=lambda: self._whole(name))
        return with_joints(poses, fewest, {'train': 'to train', 'test': 'to test'}.get(name, 'to validate'))

    def _whole(self, name: str) -> Poses:
        """Every frame of a split, for windows; what was warned of is not printed again."""
        every = Data(replace(self.options, downsample=1))
        every._sources = self._sources
        with recorded_warnings(quiet=True):
            return every._split(name).poses

    def _split(self, name: str) -> Prepared:
        prepared = self._cache.load(name)
        if prepared is None:
            prepared = self._prepare(name)
            self._cache.save(name, prepared)
        else:
            for sentence in prepared.warnings:
                if sentence not in self._warned:
                    warn(sentence)
        self._warned.update(prepared.warnings)
        trained = self.options.train_subjects or prepared.spec.train_subjects
        if name == 'test' and (both := [subject for subject in prepared.subjects if subject in trained]):
            warn(f'{listing(both)} of the test subjects are training subjects, too: errors on them are too low.')
        self._loaded.add(name)
        if len(self._loaded) > 1:  # a training needs two splits; then the sources, as large as the poses, are released
            self._sources = None
        return prepared

    def _prepare(self, name: str) -> Prepared:
        sources, subjects = self._read(), self.subjects(name)
        with recorded_warnings() as warnings:
            poses = pair(sources.dataset, sources.keypoints, subjects, sources.kinds, self.options.downsample)
        return Prepared(poses, subjects, sources.dataset.spec, (*sources.warnings, *warnings))

    def _read(self) -> Sources:
        if self._sources is None:
            with recorded_warnings() as warnings:
                dataset = load_dataset(self.options.dataset, self.options.data_dir, self.options.skip_shifted_s9)
                kinds = select_kinds(dataset, self.options.actions)
                keypoints = load_keypoints(dataset, self.options.keypoints, self.options.data_dir)
            self._sources = Sources(dataset, keypoints, kinds, warnings)
        return self._sources
