"""A program in a process of its own, as its users run it: it meets neither the other's heap nor its settings."""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks import sides
from benchmarks.measure import matmul_flops, timed

_REST = 0.03  # seconds after which the threads of the other program have stopped looking for work


class Elsewhere:
    """One side of the benchmark with one network, in its own process, with this one's number of threads.

    Args:
        side: the program's class, of `sides`.
        network: of `sides.NETWORKS`.
        device: where it computes.
    """

    def __init__(self, side: type, network: str, device: torch.device) -> None:
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context('spawn'), _begin,
                                        (side.__name__, network, str(device), torch.get_num_threads()))

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def seconds(self, job: str, *numbers: int) -> float:
        """What a job takes there; its data are made before, once."""
        return self.pool.submit(_seconds, job, *numbers).result()

    def flops(self, job: str, *numbers: int) -> int:
        """Those of its matrix products."""
        return self.pool.submit(_flops, job, *numbers).result()


def _begin(side: str, network: str, device: str, threads: int) -> None:
    global _program
    torch.set_num_threads(threads)
    _program = getattr(sides, side)(sides.NETWORKS[network], torch.device(device))


@functools.cache
def _action(job: str, *numbers: int) -> Callable[[], object]:
    count, *rest = numbers
    poses = sides.random_poses(count)
    if job == 'steps':  # poses of a batch, steps
        poses = poses.to(_program.device)
        return functools.partial(_program.steps, (poses.keypoints, poses.positions), *rest)
    if job == 'epoch':  # poses, poses of a batch
        return functools.partial(_program.epoch, poses, *rest)
    return functools.partial(_program.evaluate, poses)


def _seconds(job: str, *numbers: int) -> float:
    action = _action(job, *numbers)
    time.sleep(_REST)
    return timed(action, _program.device)


def _flops(job: str, *numbers: int) -> int:
    return matmul_flops(_action(job, *numbers))
