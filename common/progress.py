"""The progress of a long task: a bar on a terminal, a line every ten seconds in a log."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from common import distributed

Item = TypeVar('Item')


def progress_bar(label: str, total: int, done: int = 0) -> tqdm:
    """A bar of poses on standard error, which its `update` moves on; the first of several processes alone shows one."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=label, initial=done, unit='pose', unit_scale=True, leave=False, dynamic_ncols=True,
                mininterval=interval, delay=interval, disable=distributed.rank() > 0)


def with_progress(label: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items one by one, under a bar."""
    with progress_bar(label, len(items)) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def announced(what: str) -> Iterator[None]:
    """On a terminal, a line says what is under way until it is done; what is printed meanwhile takes its place."""
    shown = sys.stderr.isatty() and distributed.rank() == 0
    if shown:
        print(f'{what} ...', end='\r', file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print('\x1b[K', end='', file=sys.stderr, flush=True)
