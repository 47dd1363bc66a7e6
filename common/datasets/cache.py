"""Prepared poses kept beside the data, so that the next run need not read and pair its sources again.

What a file in DATA_DIR/cache depends on is in its name: which sources, a digest of their sizes and times, the split, a
digest of the options. So what is out of date is not found, and the folder can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from common.datasets import h36m
from common.datasets.loading import DataOptions, source_paths
from common.datasets.poses import Poses
from common.errors import UserError
from common.files.atomic import atomic_write
from common.files.npz import read_npz
from common.geometry.skeleton import Skeleton

VERSION = 1  # to be raised when the same sources and options give other poses than before
SMALL = 8 << 20  # bytes of sources that are read and paired in less than a second
SETTLED = 2.0  # seconds: a change within the coarsest clock of a file system might leave a file's time as it is


@dataclass(frozen=True)
class Outline:
    """What there is to know of a dataset beside its motion; attributes as of `MocapDataset`."""

    name: str
    train_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]
    synthetic: bool

    @property
    def skeleton(self) -> Skeleton:
        return h36m.skeleton()


@dataclass(frozen=True)
class Prepared:
    """A split, the subjects in it, its dataset's outline, and what was warned of while it was made."""

    poses: Poses
    subjects: tuple[str, ...]
    outline: Outline
    warnings: tuple[str, ...]


class PoseCache:
    """The prepared splits, 'train', 'validation' and 'test', of one choice of data."""

    def __init__(self, options: DataOptions) -> None:
        self.options = options
        self.folder = os.path.join(options.data_dir, 'cache')
        self.stamps = _stamps(options)
        self.prefix = f'{options.dataset}+{options.keypoints}-'
        self.current = self.prefix + _digest(VERSION, self.stamps)

    def load(self, split: str) -> Prepared | None:
        """A split; None where it is not kept, or its file is damaged."""
        try:
            tensors = read_npz(self._path(split))
            about = _unpack(tensors.pop('about'))
            cameras = [camera for subject in about['subjects'] for camera in h36m.cameras()[subject]]
            poses = Poses(**{name: torch.from_numpy(array) for name, array in tensors.items()},
                          kind_names=about['kind_names'], cameras=cameras)
            return Prepared(poses, tuple(about['subjects']), about['outline'], tuple(about['warnings']))
        except (UserError, ValueError, KeyError, TypeError):
            return None

    def outline(self) -> Outline | None:
        """The dataset's outline, where a split of it is kept."""
        for split in ('train', 'validation', 'test'):
            with suppress(UserError, ValueError, KeyError, TypeError):
                return _unpack(read_npz(self._path(split), ('about',))['about'])['outline']
        return None

    def save(self, split: str, prepared: Prepared) -> None:
        """Keep a split, and delete what was kept of its sources as they were before.

        Small data is not kept, it is prepared as fast. That a folder cannot be written is no error.
        """
        if sum(size for _, size, _ in self.stamps) < SMALL or not self._settled():
            return
        about = {'subjects': prepared.subjects, 'kind_names': prepared.poses.kind_names,
                 'warnings': prepared.warnings, 'outline': asdict(prepared.outline)}
        try:
            with atomic_write(self._path(split)) as file:
                arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in prepared.poses.tensors().items()}
                np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        except UserError as error:
            print(f'Note: the next run will have to prepare its data again: {error}', file=sys.stderr)
            return
        for name in os.listdir(self.folder):
            whole = name.removeprefix('.')  # what a run that was killed left half written begins with a dot
            if whole.startswith(self.prefix) and not whole.startswith(self.current):
                with suppress(OSError):  # another run was faster
                    os.unlink(os.path.join(self.folder, name))

    def _path(self, split: str) -> str:
        options = self.options
        kinds = None if options.actions is None else sorted(set(options.actions))
        kept_out = [] if split == 'test' else list(options.val_subjects)
        return os.path.join(self.folder, f'{self.current}-{split}-{_digest(kinds, options.downsample, kept_out)}.npz')

    def _settled(self) -> bool:
        """Whether the sources are what they were when this run began, and will show in their time if they change."""
        youngest = max(modified for _, _, modified in self.stamps)
        return self.stamps == _stamps(self.options) and time.time_ns() - youngest > SETTLED * 1e9


def _unpack(packed: np.ndarray) -> dict[str, Any]:
    about = json.loads(bytes(packed))
    outline = about['outline']
    return {**about, 'outline': Outline(outline['name'], tuple(outline['train_subjects']),
                                        tuple(outline['test_subjects']), outline['synthetic'])}


def _stamps(options: DataOptions) -> list[tuple[str, int, int]]:
    """(name, size, time of the last change in ns) of each source; 2D need not have a file."""
    stamps = []
    for path in source_paths(options.dataset, options.keypoints, options.data_dir):
        with suppress(OSError):
            status = os.stat(path)
            stamps.append((os.path.basename(path), status.st_size, status.st_mtime_ns))
    return stamps


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
