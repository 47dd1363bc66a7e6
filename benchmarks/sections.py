"""The sections of the benchmark: each function yields the rows of one table."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from benchmarks.implementations import IMPLEMENTATIONS, NETWORKS, Program, Reference
from benchmarks.measure import in_turns, threads, timed
from benchmarks.worker import Worker, peak_memory
from common.argument_types import positive_int
from common.arguments import resolve_device
from common.checkpoint import Checkpoint
from common.files.npz import write_npz
from common.flags import flag
from common.lifting.lifter import Lifter

SPLIT = {'S1': 0.149, 'S5': 0.149, 'S6': 0.149, 'S7': 0.149, 'S8': 0.146, 'S9': 0.129, 'S11': 0.129}  # as in Human3.6M
STARTED = 'poses to train'  # main_gcn.py prints this when the first step is next


@dataclass(frozen=True)
class Plan:
    """The extent of the measurements."""

    networks: tuple[str, ...] = flag(tuple(NETWORKS), 'networks', nargs='+', choices=NETWORKS)
    threads: tuple[int, ...] = flag((), 'numbers of threads (default: 1, 2 and all)', nargs='+', type=positive_int,
                                    metavar='N')
    batches: tuple[int, ...] = flag((64, 16, 256, 1024, 4096), 'batch sizes; the first is for all but `scaling`',
                                    nargs='+', type=positive_int, metavar='N')
    repetitions: int = flag(25, 'of every timing', type=positive_int, metavar='N')
    poses: int = flag(6400, 'of an epoch; an evaluation has 8 times as many', type=positive_int, metavar='N')
    frames: int = flag(525_774, "of the motion that is loaded, Human3.6M's", type=positive_int, metavar='N')
    device: torch.device = flag(torch.device('cpu'), 'cpu, cuda, cuda:1, ...', type=resolve_device)

    def thread_counts(self) -> Sequence[int]:
        every = torch.get_num_threads()
        return self.threads or sorted({1, min(2, every), every})


QUICK = {'repetitions': 3, 'batches': (64, 512), 'poses': 640, 'frames': 40_000}


@dataclass(frozen=True)
class Row:
    """A figure of both implementations, `reference` and `program`, in `unit`; less is better."""

    section: str
    what: str
    unit: str
    reference: float
    program: float
    threads: int | None = None
    batch: int | None = None
    poses_per_second: float | None = None

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), 'ratio': self.reference / self.program}


def _timed(plan: Plan, section: str, job: str, poses: int, *arguments: int, inner: int = 1,
           batch: int | None = None) -> Iterator[Row]:
    """Time a job of both implementations, with every network; it goes through its poses `inner` times."""
    for network in plan.networks:
        with Worker('reference', network, plan.device) as slow, Worker('program', network, plan.device) as fast:
            timers = [partial(worker.seconds, job, poses, *arguments) for worker in (slow, fast)]
            reference, program = (seconds / inner for seconds in in_turns(timers, plan.repetitions))
        yield Row(section, network, 'ms', reference * 1e3, program * 1e3, torch.get_num_threads(), batch,
                  poses / program)


def _steps(plan: Plan, section: str, batches: tuple[int, ...]) -> Iterator[Row]:
    inner = 20 if plan.device.type == 'cuda' else 5  # a GPU's steps overlap, and a few average a CPU's hiccups
    for size in batches:
        yield from _timed(plan, section, 'steps', size, inner, inner=inner, batch=size)


def step(plan: Plan) -> Iterator[Row]:
    """A whole training step on one batch: forward, backward, clip, Adam."""
    for count in plan.thread_counts():
        with threads(count):
            yield from _steps(plan, 'step', plan.batches[:1])


def scaling(plan: Plan) -> Iterator[Row]:
    """The training step at other batch sizes, with all threads."""
    with threads(plan.thread_counts()[-1]):
        yield from _steps(plan, 'scaling', plan.batches[1:])


def epoch(plan: Plan) -> Iterator[Row]:
    """Every pose once, loader included."""
    for count in plan.thread_counts():
        with threads(count):
            yield from _timed(plan, 'epoch', 'epoch', plan.poses, plan.batches[0], batch=plan.batches[0])


def evaluation(plan: Plan) -> Iterator[Row]:
    """From the keypoints of a test set to both errors."""
    for count in plan.thread_counts():
        with threads(count):
            yield from _timed(plan, 'evaluation', 'evaluate', plan.poses * 8)


def memory(plan: Plan) -> Iterator[Row]:
    """The peak memory (RSS) of a process that takes 20 training steps and evaluates."""
    for network in plan.networks:
        peaks = []
        for implementation in IMPLEMENTATIONS:
            with Worker(implementation, network, plan.device) as worker:
                worker.run('epoch', plan.poses * 8, 64, 20)
                peaks.append(worker.run('evaluate', plan.poses * 8).peak / 1e6)
        yield Row('memory', network, 'MB', peaks[0], peaks[1], batch=64)


def latency(plan: Plan) -> Iterator[Row]:
    """One pose on one core of the CPU: the reference network alone, and from pixels to metres through `Lifter`."""
    cpu, pose = torch.device('cpu'), torch.zeros(1, 16, 2)
    pixels = np.random.default_rng(0).uniform(300, 700, (17, 2))
    with threads(1), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for network in plan.networks:
            path, config = os.path.join(folder, f'{network}.pth.tar'), NETWORKS[network]
            Checkpoint(1, 1e-3, 1, Program(config, cpu).model.state_dict(), None, 0.0, config).save(path)
            actions = [partial(Reference(config, cpu).model.eval(), pose),
                       partial(Lifter(path), pixels, (1000, 1000), 'coco17')]
            slow, fast = in_turns([partial(timed, action, cpu) for action in actions], plan.repetitions * 20)
            yield Row('latency', network, 'ms', slow * 1e3, fast * 1e3, 1, 1, 1 / fast)


def start(plan: Plan) -> Iterator[Row]:
    """From the command to the first step, on synthetic motion; "reference" is this program without its cache."""
    with tempfile.TemporaryDirectory() as folder:
        write_motion(folder, plan.frames)
        cold, warm = _start(folder, plan.device), _start(folder, plan.device)
        yield Row('start', "a training's start: s", 's', cold[0], warm[0])
        yield Row('start', "a training's start: MB", 'MB', cold[1] / 1e6, warm[1] / 1e6)


def _start(folder: str, device: torch.device) -> tuple[float, int]:
    """Seconds until a training is ready for its first step, and its peak memory by then, bytes."""
    command = [sys.executable, 'main_gcn.py', '-d', 'bench', '--data_dir', folder, '--device', str(device),
               '-c', os.path.join(folder, 'runs')]
    started = time.monotonic()
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not any(STARTED in line for line in process.stdout):
            raise RuntimeError(f'{command!r} ended with status {process.wait()}')
        found = time.monotonic() - started, peak_memory(process.pid)
        process.kill()
    shutil.rmtree(os.path.join(folder, 'runs'), ignore_errors=True)
    return found


def write_motion(folder: str, frames: int) -> None:
    """Write data_3d_bench.npz: random walks of `frames` frames in Human3.6M's layout, old enough to be cached."""
    rng = np.random.default_rng(0)
    rest = rng.normal(0, 0.15, (32, 3))
    people = {subject: {'Walking': (rest + [0, 0, 1] + np.clip(
        np.cumsum(rng.normal(0, 0.003, (int(frames * share), 32, 3)), axis=0), -0.3, 0.3)).astype(np.float32)}
        for subject, share in SPLIT.items()}
    path = os.path.join(folder, 'data_3d_bench.npz')
    write_npz(path, positions_3d=people)
    os.utime(path, (0, 0))


Section = Callable[[Plan], Iterator[Row]]
SECTIONS: tuple[Section, ...] = (step, epoch, evaluation, memory, latency, start, scaling)
