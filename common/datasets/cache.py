"""A cache of prepared poses beside the data, so that the next run need not read and pair its sources again.

The name of a file in DATA_DIR/cache identifies its origin: the sources, a digest of their sizes and times, the split,
and a digest of the options. So an outdated file is never found, and the folder can be deleted at any time.
"""

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from common.datasets.loading import DataOptions, source_paths
from common.datasets.mocap import DatasetSpec
from common.datasets.poses import Poses, PoseSequence
from common.errors import UserError
from common.files.atomic import atomic_write
from common.files.npz import read_npz

VERSION = 3  # raise it when a change of the program gives other poses for the same sources and options
SMALL = 8 << 20  # bytes of sources that take less than a second to read and pair
SETTLED = 2.0  # seconds: the coarsest clock of a file system does not show two changes within this time
_UNUSABLE = (UserError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Prepared:
    """A split: its poses, its subjects, its dataset without the motion, and the warnings of its preparation."""

    poses: Poses
    subjects: tuple[str, ...]
    spec: DatasetSpec
    warnings: tuple[str, ...]


class PoseCache:
    """The prepared splits 'train', 'validation' and 'test' of a choice of data."""

    def __init__(self, options: DataOptions) -> None:
        self.options = options
        self.folder = os.path.join(options.data_dir, 'cache')
        self.stamps = _stamps(options)
        self.prefix = f'{options.dataset}+{options.keypoints}-'
        self.current = self.prefix + _digest(VERSION, self.stamps)

    def load(self, split: str) -> Prepared | None:
        """A split; None if it is not in the cache, or its file is damaged."""
        try:
            tensors = read_npz(self._path(split))
            about = json.loads(bytes(tensors.pop('about')))
            spec, subjects = DatasetSpec.from_dict(about['spec']), tuple(about['subjects'])
            arrays: dict[str, Any] = {name: torch.from_numpy(array) for name, array in tensors.items()}
            poses = Poses(**arrays, kind_names=about['kind_names'],
                          sequences=[PoseSequence(*sequence) for sequence in about['sequences']],
                          cameras=[camera for subject in subjects for camera in spec.cameras[subject]])
            return Prepared(poses, subjects, spec, tuple(about['warnings']))
        except _UNUSABLE:
            return None

    def spec(self) -> DatasetSpec | None:
        """The dataset without its motion; None if the cache has no split of it."""
        for split in ('train', 'validation', 'test'):
            with suppress(*_UNUSABLE):
                about = json.loads(bytes(read_npz(self._path(split), ('about',))['about']))
                return DatasetSpec.from_dict(about['spec'])
        return None

    def save(self, split: str, prepared: Prepared) -> None:
        """Write a split, and delete the files of earlier versions of its sources.

        Small data is not written, because it is prepared as fast. A folder that cannot be written is not an error.
        """
        if sum(size for _, size, _ in self.stamps) < SMALL or not self._settled():
            return
        about = {'subjects': prepared.subjects, 'kind_names': prepared.poses.kind_names,
                 'sequences': prepared.poses.sequences,
                 'warnings': prepared.warnings, 'spec': prepared.spec.as_dict()}
        packed = np.frombuffer(json.dumps(about, default=np.ndarray.tolist).encode(), np.uint8)
        try:
            with atomic_write(self._path(split)) as file:
                arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in prepared.poses.tensors().items()}
                np.savez(file, about=packed, **arrays)
        except UserError as error:
            print(f'Note: the next run will have to prepare its data again: {error}', file=sys.stderr)
            return
        for name in os.listdir(self.folder):
            whole = name.removeprefix('.')  # unfinished files of a killed run begin with a dot
            if whole.startswith(self.prefix) and not whole.startswith(self.current):
                with suppress(OSError):  # another run may have deleted it already
                    os.unlink(os.path.join(self.folder, name))

    def _path(self, split: str) -> str:
        options = self.options
        kinds = None if options.actions is None else sorted(set(options.actions))
        chosen = [options.test_subjects] if split == 'test' else [options.train_subjects, options.val_subjects]
        choices = kinds, options.downsample, chosen, options.skip_shifted_s9
        return os.path.join(self.folder, f'{self.current}-{split}-{_digest(*choices)}.npz')

    def _settled(self) -> bool:
        """Whether the sources have not changed since this run began, and their times will show a later change."""
        youngest = max(modified for _, _, modified in self.stamps)
        return self.stamps == _stamps(self.options) and time.time_ns() - youngest > SETTLED * 1e9


def _stamps(options: DataOptions) -> list[tuple[str, int, int]]:
    """(name, size, time of the last change in ns) of each source; 2D may have no file."""
    stamps = []
    for path in source_paths(options.dataset, options.keypoints, options.data_dir):
        with suppress(OSError):
            status = os.stat(path)
            stamps.append((os.path.basename(path), status.st_size, status.st_mtime_ns))
    return stamps


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
