"""What the preparing scripts share: archives read in place, HDF5 read with care, and the table of what a file holds."""

import glob
import gzip
import importlib
import io
import math
import os
import re
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from common.errors import UserError, listing, printable
from common.h36m_dataset import ACTIONS, CORRUPTED, TEST_SUBJECTS, TRAIN_SUBJECTS
from common.npz import read_npz, write_npz

DATA_FOLDER = os.path.dirname(os.path.abspath(__file__))
SUBJECTS = TRAIN_SUBJECTS + TEST_SUBJECTS
CAMERAS = 4
TAKES = 2  # every subject performs every kind of action twice
# Poses over four cameras that Human3.6M has at 50 Hz. Detections may have a few frames more or fewer.
POSES = {'train': (TRAIN_SUBJECTS, 1_559_752), 'test': (TEST_SUBJECTS, 543_344)}
DETECTIONS_TOLERANCE = 0.01
# The longest sequence of Human3.6M takes 5 MB as float64, so whatever claims more than this is damage or a bomb.
MAX_BYTES = 64 << 20
ABSURD = 1e6  # millimetres or pixels
_OTHER_NAMES = {'TakingPhoto': 'Photo', 'WalkingDog': 'WalkDog'}


@contextmanager
def damage_told(where: str) -> Iterator[None]:
    """Turn whatever a reading library raises on damaged content into one sentence about `where`.

    Every exception, because zipfile, tarfile, h5py, cdflib and SciPy raise some twenty kinds between them; so no more
    than the reading itself belongs under it.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f'{where} is not there.') from None
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f'{where} cannot be read: {error.strerror}.') from error
    except Exception as error:
        reason = printable(' '.join(str(error).split())).rstrip('.') or type(error).__name__
        raise UserError(f'{where} is damaged or cut short ({reason}); fetch or copy it again.') from error


def keep_existing(path: str, force: bool) -> None:
    """Refuse to go on towards an output that is already there, unless forced."""
    if os.path.exists(path) and not force:
        raise UserError(f'{path} is already there; give --force to replace it, or --output for another folder.')


def save(path: str, **entries: Any) -> None:
    """Write an `.npz` in whole or not at all, telling of the wait: compressing Human3.6M takes a while."""
    print(f'Writing {path} ...', file=sys.stderr, flush=True)
    write_npz(path, **entries)


def optional(package: str, module: str, purpose: str) -> Any:
    """Import a library that only some sources need."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f'{purpose} needs the Python package {package}; run: pip install {package}') from error


def progress(items: Iterable = (), total: int | None = None) -> tqdm:
    """A progress bar over files, on a terminal only."""
    return tqdm(items, total=total, unit=' files', disable=None)


def sequence(subject: str, text: str) -> tuple[str, str] | None:
    """Subject and action as they are kept, None where they are not Human3.6M's: `TakingPhoto 1` -> `Photo 1`."""
    match = re.fullmatch(r'([A-Za-z]+)( \d+)?', text)
    if not match or subject not in SUBJECTS:
        return None
    kind = _OTHER_NAMES.get(match[1], match[1])
    return (subject, kind + (match[2] or '')) if kind in ACTIONS else None


def checked(array: np.ndarray, shape: tuple[int | None, ...], where: str) -> np.ndarray:
    """An array that has the shape (None stands for any length but 0) and only finite numbers, or an error."""
    fits = array.ndim == len(shape) and array.size > 0 and all(b in (None, a) for a, b in zip(array.shape, shape))
    if array.dtype.kind not in 'fiu' or not fits:
        wanted = ', '.join('frames' if length is None else str(length) for length in shape)
        raise UserError(f'{where} holds {array.dtype} of shape {array.shape}, but numbers of ({wanted}) belong there; '
                        'this is not the file that it should be.')
    if not (np.abs(array) < ABSURD).all():  # NaN is not less either
        raise UserError(f'{where} holds values that are not finite or absurdly large; fetch it again, or take it out.')
    return array


def zip_members(path: str, choose: Callable[[str], Any]) -> Iterator[tuple[str, Any, bytes]]:
    """Read members of a zip archive in place, one at a time.

    Args:
        choose: says of a member's name what it is, or None where it is not wanted.
    Yields:
        (archive and member for messages, what `choose` said, the member's content)
    Raises:
        UserError: the archive or a member is damaged, or a member is unsafe or too large.
    """
    with damage_told(path):
        archive = zipfile.ZipFile(path)
    with archive:
        chosen = []
        for info in archive.infolist():
            mode = info.external_attr >> 16  # the Unix mode, where the archive was made on such a system
            _refuse_unsafe(path, info.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR))
            if what := choose(info.filename):
                chosen.append((info, what))
        for info, what in progress(chosen):
            where = _member(path, info.filename)
            refuse_large(where, info.file_size)
            with damage_told(where):
                if info.flag_bits & 1:
                    raise ValueError('it is encrypted')
                with archive.open(info) as file:
                    content = file.read(info.file_size)  # with a bound, zipfile unpacks no more; the CRC is compared
            yield where, what, content


def tar_members(path: str, choose: Callable[[str], Any], expected: int) -> Iterator[tuple[str, Any, bytes]]:
    """As `zip_members`, for a `.tar.gz`, which is streamed through once. `expected` members scale the progress bar."""
    with damage_told(path):
        file = _BoundedGzip(path)
    with file, progress(total=expected) as bar:
        with damage_told(path):
            archive = tarfile.TarFile(fileobj=file)
        while True:
            with damage_told(path):
                info = archive.next()
            if info is None:
                break
            _refuse_unsafe(path, info.name, info.isreg() or info.isdir())
            if not info.isreg() or not (what := choose(info.name)):
                continue
            where = _member(path, info.name)
            refuse_large(where, info.size)
            with damage_told(where), archive.extractfile(info) as member:  # type: ignore[union-attr]
                content = member.read()
            bar.update()
            yield where, what, content
        with damage_told(path):
            while file.read(1 << 20):  # the checksum is at the very end
                pass


class _BoundedGzip(gzip.GzipFile):
    """Gzip that never reads more at once than a member may have: tarfile allocates what a long-name header claims."""

    def __init__(self, path):
        super().__init__(path, 'rb')

    def read(self, size=-1):
        if not 0 <= size <= MAX_BYTES:
            raise ValueError(f'a header in it claims {size:,} bytes')
        return super().read(size)


def _member(path, name):
    return f'{path}: member {name!r}'


def _refuse_unsafe(path, name, is_plain):
    parts = re.split(r'[/\\]', name)
    if name.startswith(('/', '\\')) or re.match(r'[A-Za-z]:', name) or '..' in parts:
        raise UserError(f'{_member(path, name)} points outside the archive, so the archive is refused; '
                        'fetch it from a source you trust.')
    if not is_plain:
        raise UserError(f'{_member(path, name)} is a link or a device, so the archive is refused; '
                        'fetch it from a source you trust.')


def refuse_large(where: str, size: int) -> None:
    """Refuse what claims more bytes than any sequence has, before it is read."""
    if not 0 <= size <= MAX_BYTES:
        raise UserError(f'{where} is refused: it claims {size:,} bytes, more than the {MAX_BYTES:,} '
                        'that any sequence of Human3.6M needs.')


def read_h5(content: bytes, name: str, where: str) -> np.ndarray:
    """Read one dataset of an HDF5 file that is already in memory.

    Datasets that HDF5 would fetch from other files (links, external storage, virtual datasets) are refused, and a
    size is believed only up to the limit.
    """
    with damage_told(where), h5py.File(io.BytesIO(content), 'r') as file:
        link = file.get(name, getlink=True)
        dataset = file.get(name) if isinstance(link, h5py.HardLink) else None
        if link is None:
            raise UserError(f'{where} has no dataset {name!r}; it has {listing(file) or "none"}.')
        if not isinstance(dataset, h5py.Dataset) or dataset.external is not None or dataset.is_virtual:
            raise UserError(f'{where} is refused: {name!r} is not a plain dataset of its own.')
        if dataset.shape is None or dataset.dtype.kind not in 'fiu':
            raise ValueError(f'{name!r} holds no numbers')
        for shape in (dataset.shape, dataset.chunks or ()):
            refuse_large(where, math.prod(shape) * dataset.dtype.itemsize)
        return np.asarray(dataset[()])


def add_sequence(sequences: dict[str, dict[str, Any]], subject: str, action: str, value: Any, where: str) -> None:
    """Put a sequence where it belongs; the same one twice is an error. The corrupted video is left out."""
    if (subject, action) == CORRUPTED:
        return
    if action in sequences.setdefault(subject, {}):
        raise UserError(f'{where} is {subject} {action!r} a second time; take one of the two out.')
    sequences[subject][action] = value


def in_order(sequences: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Subjects in the order of the splits, sequences by name, whatever the order of the source."""
    return {subject: dict(sorted(sequences[subject].items())) for subject in SUBJECTS if sequences.get(subject)}


def check_files(folder: str) -> None:
    """Print the tables of Human3.6M's 3D file and of every 2D file that `folder` has."""
    found = [path for name in ('data_3d_h36m.npz', 'data_2d_h36m_*.npz')
             for path in sorted(glob.glob(os.path.join(glob.escape(folder), name)))]
    if not found:
        raise UserError(f'{folder} has no data_3d_h36m.npz and no data_2d_h36m_*.npz to check; '
                        'data/README.md says how to make them.')
    for path in found:
        print_h36m_table(path)


def print_h36m_table(path: str) -> None:
    """Print what a file has beside what Human3.6M has, then a warning for every difference."""
    counts = _poses(path)
    print(f'{path}\n{"":10}{"sequences":>10}{"should be":>12}{"poses over 4 cameras":>24}{"should be":>12}')
    for subject in SUBJECTS:
        poses = counts.get(subject, {})
        print(f'{subject:10}{len(poses):10}{_expected_takes(subject):12}{sum(poses.values()):24,}')
    warnings = [warning for subject in SUBJECTS for warning in _missing(subject, counts.get(subject, {}))]
    warnings += [f'{subject} is none of Human3.6M\'s subjects' for subject in counts if subject not in SUBJECTS]
    detected = re.search(r'data_2d_h36m_(?!gt\.)', path) is not None
    for split, (subjects, expected) in POSES.items():
        poses = sum(sum(counts.get(subject, {}).values()) for subject in subjects)
        sequences = sum(len(counts.get(subject, {})) for subject in subjects)
        print(f'{split:10}{sequences:10}{sum(map(_expected_takes, subjects)):12}{poses:24,}{expected:12,}')
        if abs(poses - expected) > expected * DETECTIONS_TOLERANCE * detected:
            warnings.append(f'the {split} subjects have {poses:,} poses, Human3.6M has {expected:,}')
    sys.stdout.flush()
    for warning in warnings:
        print(f'Warning: {path}: {warning}.', file=sys.stderr)


def _expected_takes(subject: str) -> int:
    return len(ACTIONS) * TAKES - (subject == CORRUPTED[0])


def _missing(subject, poses):
    if not poses:
        return [f'{subject} is missing']
    kinds = [action.split(' ')[0] for action in poses]
    wanted = {kind: TAKES - ((subject, kind) == CORRUPTED) for kind in ACTIONS}
    return [f'{subject} has {kinds.count(kind)} of {takes} {kind}' for kind, takes in wanted.items()
            if kinds.count(kind) != takes]


def _poses(path):
    """Poses over the four cameras that a 3D or a 2D file has: {subject: {action: poses}}."""
    is_3d = os.path.basename(path).startswith('data_3d')
    entry = 'positions_3d' if is_3d else 'positions_2d'
    sequences = read_npz(path, (entry,))[entry]
    with damage_told(path):
        return {subject: {action: CAMERAS * len(value) if is_3d else sum(map(len, value))
                          for action, value in actions.items()} for subject, actions in sequences.items()}
