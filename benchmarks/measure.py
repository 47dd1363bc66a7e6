"""Timing in turns with medians, and the hardware that the figures depend on."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

import numpy as np
import torch


def timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds that an action takes on a device."""
    def synchronize() -> None:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    synchronize()
    start = time.perf_counter()
    action()
    synchronize()
    return time.perf_counter() - start


def in_turns(timers: Sequence[Callable[[], float]], repetitions: int) -> list[float]:
    """Median of the seconds that each timer returns, called in turns ABAB...; the first call of each does not count."""
    rounds = [[timer() for timer in timers] for _ in range(repetitions + 1)]
    return [statistics.median(seconds) for seconds in zip(*rounds[1:], strict=True)]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set PyTorch's number of threads within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def matmul_rate(device: torch.device, size: int = 1024, repetitions: int = 15) -> float:
    """FLOP a second of a float32 product of square matrices with PyTorch's current threads."""
    one, two = (torch.randn(size, size, device=device) for _ in range(2))
    (seconds,) = in_turns([lambda: timed(lambda: one @ two, device)], repetitions)
    return 2 * size ** 3 / seconds


def machine(device: torch.device) -> dict[str, str | int]:
    """The hardware, versions, date and load of this machine."""
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
