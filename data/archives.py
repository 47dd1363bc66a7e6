"""Reads archives without unpacking them, folders of unpacked archives, and HDF5, within limits of size."""

import gzip
import io
import itertools
import math
import multiprocessing
import multiprocessing.pool
import os
import re
import signal
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from common.errors import UserError, listing, printable

# The longest sequence of Human3.6M takes 5 MB as float64: a member that claims more than this is damaged or malicious.
MAX_BYTES = 64 << 20
# The archives unpack to some 500 MB, and have some thousand members.
MAX_UNPACKED, MAX_MEMBERS = 2 << 30, 20_000

Choose = Callable[[str], Any]
Member = tuple[str, Any, bytes]


@contextmanager
def damage_as_sentence(where: str) -> Iterator[None]:
    """Turn every exception that a library raises on damaged content into one sentence about `where`.

    zipfile, tarfile, h5py, cdflib and SciPy raise some twenty kinds, so every kind is caught. Put only the call of the
    library into this context.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f'{where} is missing.') from None
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f'{where} cannot be read: {error.strerror}.') from error
    except Exception as error:
        reason = printable(' '.join(str(error).split())).rstrip('.') or type(error).__name__
        raise UserError(f'{where} is damaged or cut short ({reason}); fetch or copy it again.') from error


def progress(items: Iterable = (), total: int | None = None) -> tqdm:
    """A progress bar over files, shown only on a terminal."""
    return tqdm(items, total=total, unit=' files', disable=None)


def zip_members(path: str, choose: Choose) -> Iterator[Member]:
    """Read members of a zip archive without unpacking it, one at a time, or files of a folder where it was unpacked.

    Args:
        choose: returns a description of a member by its name; None for members that are not wanted.
    Yields:
        (archive and member for messages, the description, the member's content)
    Raises:
        UserError: the archive or a member is damaged, or a member is unsafe or too large.
    """
    if os.path.isdir(path):
        yield from folder_members(path, choose)
        return
    with damage_as_sentence(path):
        archive = zipfile.ZipFile(path)
    with archive:
        chosen = []
        for info in archive.infolist():
            mode = info.external_attr >> 16  # the Unix mode, where the archive was made on such a system
            _refuse_unsafe(path, info.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR))
            if what := choose(info.filename):
                chosen.append((info, what))
        _refuse_too_much(path, len(archive.infolist()), sum(info.file_size for info, _ in chosen))
        for info, what in progress(chosen):
            where = _member(path, info.filename)
            refuse_large(where, info.file_size)
            with damage_as_sentence(where):
                if info.flag_bits & 1:
                    raise ValueError('it is encrypted')
                with archive.open(info) as file:
                    content = file.read(info.file_size)  # with a bound, zipfile unpacks no more; the CRC is compared
            yield where, what, content


def folder_members(folder: str, choose: Choose) -> Iterator[Member]:
    """Read the files below a folder, as `zip_members` reads the members of an archive."""
    chosen = []
    for below, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(below, name)
            if what := choose(os.path.abspath(path).replace(os.sep, '/')):
                chosen.append((path, what))
    for path, what in progress(sorted(chosen)):
        with damage_as_sentence(path):
            refuse_large(path, os.path.getsize(path))
            with open(path, 'rb') as file:
                content = file.read()
        yield path, what, content


def tar_members(path: str, choose: Choose, expected: int) -> Iterator[Member]:
    """As `zip_members`, for a `.tar.gz`, which is read once from begin to end. `expected` scales the progress bar."""
    if os.path.isdir(path):
        yield from folder_members(path, choose)
        return
    with damage_as_sentence(path):
        file = _BoundedGzip(path)
    with file, progress(total=expected) as bar:
        with damage_as_sentence(path):
            archive = tarfile.TarFile(fileobj=file)
        for count in itertools.count(1):
            with damage_as_sentence(path):
                info = archive.next()
            if info is None:
                break
            _refuse_too_much(path, count, 0)
            _refuse_unsafe(path, info.name, info.isreg() or info.isdir())
            if not info.isreg() or not (what := choose(info.name)):
                continue
            where = _member(path, info.name)
            refuse_large(where, info.size)
            with damage_as_sentence(where), archive.extractfile(info) as member:  # type: ignore[union-attr]
                content = member.read()
            bar.update()
            yield where, what, content
        with damage_as_sentence(path):
            while file.read(1 << 20):  # the checksum is at the very end
                pass


class _BoundedGzip(gzip.GzipFile):
    """Gzip with limits: in total the size of an archive, and in each read the size of a member.

    Without them tarfile would allocate any size that a long-name header claims, and read terabytes to skip a member.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, 'rb')

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_BYTES:
            raise ValueError(f'a header in it claims {size or 0:,} bytes')
        _refuse_too_much(str(self.name), 0, self.tell())
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        _refuse_too_much(str(self.name), 0, offset)
        return super().seek(offset, whence)


def _member(path: str, name: str) -> str:
    return f'{path}: member {name!r}'


def _refuse_unsafe(path: str, name: str, is_plain: bool) -> None:
    parts = re.split(r'[/\\]', name)
    if name.startswith(('/', '\\')) or re.match(r'[A-Za-z]:', name) or '..' in parts:
        raise UserError(f'{_member(path, name)} points outside the archive, so the archive is refused; '
                        'fetch it from a source you trust.')
    if not is_plain:
        raise UserError(f'{_member(path, name)} is a link or a device, so the archive is refused; '
                        'fetch it from a source you trust.')


def _refuse_too_much(path: str, members: int, size: int) -> None:
    for count, limit, what in ((members, MAX_MEMBERS, 'members'), (size, MAX_UNPACKED, 'bytes unpacked')):
        if count > limit:
            raise UserError(f'{path} is refused: it has more than {limit:,} {what}, which no archive of Human3.6M has.')


def refuse_large(where: str, size: int, limit: int = MAX_BYTES) -> None:
    """Refuse a file or member that claims more bytes than any sequence has; called before it is read."""
    if not 0 <= size <= limit:
        raise UserError(f'{where} is refused: it claims {size:,} bytes, more than the {limit:,} that any sequence of '
                        'its data set needs.')


def read_h5(content: bytes, name: str, where: str) -> np.ndarray:
    """One dataset of an HDF5 file in memory.

    Datasets that HDF5 would read from other files (links, external storage, virtual datasets) are refused, and so are
    sizes above the limit.
    """
    with damage_as_sentence(where), h5py.File(io.BytesIO(content), 'r') as file:
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


def worker(memory: int) -> multiprocessing.pool.Pool:
    """A pool of one process for `read_apart`, which may take `memory` further bytes."""
    return multiprocessing.Pool(1, _start_worker, (memory,))


def read_apart(pool: multiprocessing.pool.Pool, read: Callable[[str], Any], path: str, patience: float) -> Any:
    """Read a file in another process: on a damaged file SciPy can crash, and cdflib can run forever or allocate any
    amount of memory.

    Raises:
        UserError: it does, or takes longer than `patience` seconds; or `read` raises it.
    """
    reading = pool.apply_async(read, (path,))
    with damage_as_sentence(path):
        try:
            return reading.get(patience)
        except multiprocessing.TimeoutError:
            raise ValueError(f'reading it crashes, or takes longer than {patience} s') from None


def _start_worker(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(memory)


def limit_memory(more: int) -> None:
    """Limit the further memory of this process, where the system supports it: beyond it, Python raises MemoryError."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        with open('/proc/self/statm') as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.getrlimit(resource.RLIMIT_AS)[1]))
