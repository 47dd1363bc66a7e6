"""One implementation in its own process, as its users run it, without the heap and the settings of the other one.

    python -m benchmarks.worker program SemGCN cpu      # reads a job a line, as ["evaluate", 640]
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from typing import Any, NamedTuple

import torch

_REST = 0.03  # seconds after which the threads of the other implementation no longer spin


class Cost(NamedTuple):
    """Seconds of a call, and the peak memory of its process so far, bytes."""

    seconds: float
    peak: int


class Worker:
    """A process with one implementation and one network, with this process's number of threads.

    Args:
        implementation: a name of `implementations.IMPLEMENTATIONS`.
        network: a name of `implementations.NETWORKS`.
        device: where it computes.
    """

    def __init__(self, implementation: str, network: str, device: torch.device) -> None:
        environment = {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads())}
        command = [sys.executable, '-m', 'benchmarks.worker', implementation, network, str(device)]
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, job: str, poses: int, *arguments: int) -> Cost:
        """The cost of a method of the implementation on a number of random poses, which are made before the call."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([job, poses, *arguments]) + '\n')
        self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply:
            raise RuntimeError(f'{self.process.args!r} ended with status {self.process.wait()}')
        return Cost(*json.loads(reply))

    def seconds(self, job: str, poses: int, *arguments: int) -> float:
        """The seconds of `run`."""
        return self.run(job, poses, *arguments).seconds


def peak_memory(pid: int | str = 'self') -> int:
    """The largest resident set of a process so far, bytes; on Linux getrusage would include its parent's."""
    if os.path.exists(f'/proc/{pid}/status'):
        with open(f'/proc/{pid}/status', encoding='ascii') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) * 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def main() -> None:
    from benchmarks.implementations import IMPLEMENTATIONS, NETWORKS, random_poses
    from benchmarks.measure import timed
    name, network, device = sys.argv[1:]
    implementation: Any = IMPLEMENTATIONS[name](NETWORKS[network], torch.device(device))
    made = functools.cache(random_poses)
    for line in sys.stdin:
        job, poses, *arguments = json.loads(line)
        action = functools.partial(getattr(implementation, job), made(poses), *arguments)
        time.sleep(_REST)
        seconds = timed(action, implementation.device)
        print(json.dumps(Cost(seconds, peak_memory())), flush=True)


if __name__ == '__main__':
    main()
