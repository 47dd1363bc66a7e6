"""Atomic writing: a file is written under a temporary name, flushed to disk, then renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from common.errors import UserError


def check_suffix(path: str, suffixes: tuple[str, ...], flag: str = '') -> str:
    """The suffix of an output file, in lower case. Scripts check it before they begin to work.

    Args:
        suffixes: the allowed suffixes.
        flag: the flag that named the file, for messages.
    Raises:
        UserError: the suffix is not allowed, or the path is a folder.
    """
    suffix, named = os.path.splitext(path)[1].lower(), f'{flag} {path}'.strip()
    if suffix not in suffixes:
        known = ' or '.join(filter(None, (', '.join(suffixes[:-1]), suffixes[-1])))
        raise UserError(f'{named}: the name must end in {known}.')
    if os.path.isdir(path):
        raise UserError(f'{named} is a folder; name a file.')
    return suffix


@contextmanager
def atomic_write(path: str, mode: str = 'wb') -> Iterator[IO]:
    """Open a file that replaces `path` when the block succeeds, and is deleted when the block fails.

    Readers see the old file or the whole new one, never a part.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic_path(path) as temporary, open(temporary, mode, encoding=None if 'b' in mode else 'utf-8') as file:
        yield file


@contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """The path of an empty file with the suffix of `path`, for programs that write by name; else as `atomic_write`."""
    folder = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        os.makedirs(folder, exist_ok=True)
        name = os.path.basename(path)
        descriptor, temporary = tempfile.mkstemp(os.path.splitext(name)[1], f'.{name}.', folder)
        os.close(descriptor)
        yield temporary
        with open(temporary, 'rb+') as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
        temporary = None
        _sync_folder(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f'{path} cannot be written: {reason}; free some space or choose another folder.') from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable, where the system supports that for folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
