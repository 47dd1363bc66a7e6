"""How things are measured: in turns, by medians, beside the rate at which the machine multiplies matrices."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode


def synchronize(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds that it takes."""
    synchronize(device)
    start = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - start


def in_turns(timers: list[Callable[[], float]], repetitions: int) -> list[float]:
    """Seconds that each tells: the median over repetitions ABAB..., the first of each not counted."""
    times: list[list[float]] = [[] for _ in timers]
    for turn in range(repetitions + 1):
        for taken, timer in zip(times, timers):
            seconds = timer()
            if turn:
                taken.append(seconds)
    return [statistics.median(taken) for taken in times]


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def matmul_rate(device: torch.device, size: int = 1024, repetitions: int = 15) -> float:
    """FLOP a second of a float32 product of square matrices with PyTorch's threads as they are."""
    one, two = (torch.randn(size, size, device=device) for _ in range(2))
    (seconds,) = in_turns([lambda: timed(lambda: one @ two, device)], repetitions)
    return 2 * size ** 3 / seconds


def matmul_flops(action: Callable[[], object]) -> int:
    """FLOPs of the matrix products and convolutions in an action, backward passes included."""
    def adding(_, one, two, **__):
        return 2 * one[0] * one[1] * two[1]

    # the product that adds in place is the one that PyTorch's counter does not know
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: adding}) as counter:
        action()
    return counter.get_total_flops()


def machine(device: torch.device) -> dict[str, str | int]:
    """What the figures are of: hardware, versions, date."""
    name = platform.processor() or platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            name = next((line.split(':', 1)[1].strip() for line in file if line.startswith('model name')), name)
    return {
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'), 'processor': name,
        'cores': os.cpu_count() or 1, 'device': str(device),
        'gpu': torch.cuda.get_device_name(device) if device.type == 'cuda' else 'none',
        'system': platform.platform(), 'python': platform.python_version(), 'torch': torch.__version__,
        'numpy': np.__version__, 'load': ' '.join(f'{value:.1f}' for value in os.getloadavg())
        if hasattr(os, 'getloadavg') else 'unknown'}
