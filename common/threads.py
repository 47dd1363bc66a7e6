"""A function mapped over slices of a set of poses, one slice on each core.

Within an operation on a few hundred poses PyTorch's threads wait for each other and fetch results of other cores.
Threads that work on separate slices do neither.
"""

import collections
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar('Result')

_POSES_A_THREAD = 64  # fewer are not worth a thread


def map_over_threads(function: Callable[[slice], Result], count: int, most: int,
                     device: torch.device) -> Iterator[tuple[int, Result]]:
    """Yield (poses done so far, result) for one slice of `count` poses after the other, in order.

    On a CPU as many slices run at a time as PyTorch has threads, each on one thread; on other devices one at a time.

    Args:
        function: takes a slice. It must itself enter thread-local modes of PyTorch such as `torch.inference_mode`.
        most: the largest number of poses in a slice.
    """
    threads = min(torch.get_num_threads() if device.type == 'cpu' else 1, max(count // _POSES_A_THREAD, 1))
    parts = max(threads * math.ceil(count / (threads * most)), 1)
    bounds = [count * index // parts for index in range(parts + 1)]
    slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
    if threads == 1:
        for part in slices:
            yield part.stop, function(part)
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        futures = collections.deque(pool.submit(function, part) for part in slices)
        for part in slices:
            yield part.stop, futures.popleft().result()  # a future that is kept keeps its result in memory
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # new threads would inherit the number that was set last
