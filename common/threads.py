"""Work on the poses of a set part by part, a part on each core.

Within an operation on a few hundred poses PyTorch's threads wait for each other and fetch what another core has made;
over whole parts they need not.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar('Result')

_LEAST = 64  # poses worth a thread


def over_parts(work: Callable[[slice], Result], count: int, most: int,
               device: torch.device) -> Iterator[tuple[int, Result]]:
    """Do a work on the parts of `count` poses: on a CPU on as many threads as PyTorch has, else one after the other.

    Args:
        work: takes a part. What PyTorch keeps for each thread, as `torch.inference_mode`, it has to set itself.
        most: poses of a part.
    Returns:
        Part by part, in order: how many poses are done, and what came out.
    """
    threads = min(torch.get_num_threads() if device.type == 'cpu' else 1, max(count // _LEAST, 1))
    parts = max(threads * math.ceil(count / (threads * most)), 1)
    bounds = [count * index // parts for index in range(parts + 1)]
    slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
    if threads == 1:
        for part in slices:
            yield part.stop, work(part)
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        futures = collections.deque(pool.submit(work, part) for part in slices)
        for part in slices:
            yield part.stop, futures.popleft().result()  # with the future its result goes
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads to come would take over that of the last that was set
