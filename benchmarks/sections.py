"""What is measured: each function gives the rows of one table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from benchmarks import child
from benchmarks.elsewhere import Elsewhere
from benchmarks.measure import in_turns, matmul_rate, threads, timed
from benchmarks.sides import NETWORKS, SIDES, Program, Straightforward, random_poses
from predict import Lifter


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        repetitions: of everything that is timed.
        networks, threads, batches: what is gone through; the first of `batches` is the recipe's.
        poses: of an epoch; an evaluation has eight times as many.
        frames: of the synthetic motion that is loaded; Human3.6M has 525,774.
        device: where networks run.
    """

    repetitions: int
    networks: tuple[str, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    poses: int
    frames: int
    device: torch.device


@dataclass(frozen=True)
class Row:
    """One figure of both programs.

    Attributes:
        section, what: which table, and what of it.
        unit: of `straightforward` and `program`, which are medians; less is better.
        poses_per_second: of this program.
        matmul_share: FLOP/s of this program's matrix products, of what the machine does multiplying 1024x1024 matrices.
    """

    section: str
    what: str
    unit: str
    straightforward: float | None
    program: float
    threads: int | None = None
    batch: int | None = None
    poses_per_second: float | None = None
    matmul_share: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.straightforward / self.program if self.straightforward is not None else None

    def as_dict(self) -> dict:
        return {**asdict(self), 'ratio': self.ratio}


def _compared(plan: Plan, section: str, what: str, timers: list[Callable[[], float]], poses: int, flops: float = 0,
              inner: int = 1, batch: int | None = None) -> Row:
    """Time a straightforward action and this program's; `inner` times each goes through `poses`, with `flops`."""
    slow, fast = (seconds / inner for seconds in in_turns(timers, plan.repetitions))
    share = flops / fast / matmul_rate(plan.device) if flops else None
    return Row(section, what, 'ms', slow * 1e3, fast * 1e3, torch.get_num_threads(), batch, poses / fast, share)


def _both(plan: Plan) -> Iterator[tuple[str, list[Elsewhere]]]:
    """Both programs with one network after the other."""
    for network in plan.networks:
        with Elsewhere(Straightforward, network, plan.device) as slow, Elsewhere(Program, network, plan.device) as fast:
            yield network, [slow, fast]


def _steps(plan: Plan, section: str, batches: tuple[int, ...]) -> Iterator[Row]:
    inner = 20 if plan.device.type == 'cuda' else 5  # a GPU's steps overlap, and a few average a CPU's hiccups
    for network, sides in _both(plan):
        for size in batches:
            timers = [partial(side.seconds, 'steps', size, inner) for side in sides]
            yield _compared(plan, section, network, timers, size, sides[1].flops('steps', size, 1), inner, size)


def step(plan: Plan) -> Iterator[Row]:
    """A whole training step: forward, backward, clip, Adam; its batch lies ready."""
    for count in plan.threads:
        with threads(count):
            yield from _steps(plan, 'step', plan.batches[:1])


def scaling(plan: Plan) -> Iterator[Row]:
    """The training step at other batch sizes, with all threads."""
    with threads(plan.threads[-1]):
        yield from _steps(plan, 'scaling', plan.batches[1:])


def epoch(plan: Plan) -> Iterator[Row]:
    """Every pose once, loader included."""
    for count in plan.threads:
        with threads(count):
            for network, sides in _both(plan):
                timers = [partial(side.seconds, 'epoch', plan.poses, plan.batches[0]) for side in sides]
                yield _compared(plan, 'epoch', network, timers, plan.poses, batch=plan.batches[0])


def evaluation(plan: Plan) -> Iterator[Row]:
    """From the keypoints of a test set to both errors."""
    poses = plan.poses * 8
    for count in plan.threads:
        with threads(count):
            for network, sides in _both(plan):
                timers = [partial(side.seconds, 'evaluation', poses) for side in sides]
                flops = sides[1].flops('evaluation', 64) * poses / 64
                yield _compared(plan, 'evaluation', network, timers, poses, flops)


def command(plan: Plan) -> Iterator[Row]:
    """An evaluation from end to end: a process that starts, loads a tenth of the motion, scores it, and tells.

    This program is `--evaluate` with a cache; the straightforward one prepares its poses each time.
    """
    with tempfile.TemporaryDirectory() as folder:
        child.write_motion(folder, plan.frames // 10)
        for count in plan.threads:
            with threads(count):
                for network in plan.networks:
                    timers = [partial(_lifetime, 'evaluate', side.__name__, network, folder) for side in SIDES]
                    slow, fast = in_turns(timers, min(plan.repetitions, 3))
                    yield Row('command', network, 's', slow, fast, count)


def _lifetime(*arguments: str) -> float:
    return child.run(*arguments)['seconds']


def p_mpjpe(plan: Plan) -> Iterator[Row]:
    """P-MPJPE alone."""
    target = random_poses(plan.poses * 8).positions
    predicted = target + torch.randn_like(target) * 0.05
    for count in plan.threads:
        with threads(count):
            timers = [partial(timed, partial(side.p_mpjpe, predicted, target), torch.device('cpu')) for side in SIDES]
            yield _compared(plan, 'p_mpjpe', 'alignment and error', timers, len(target))


def latency(plan: Plan) -> Iterator[Row]:
    """One pose on one core of the CPU, from pixels to metres, through `predict.Lifter`."""
    cpu, pose = torch.device('cpu'), torch.zeros(1, 16, 2)
    pixels = np.random.default_rng(0).uniform(300, 700, (17, 2))
    with threads(1), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for network in plan.networks:
            actions = [partial(Straightforward(NETWORKS[network], cpu).model.eval(), pose),
                       partial(Lifter(child.checkpoint(folder, network)), pixels, (1000, 1000), 'coco17')]
            slow, fast = in_turns([partial(timed, action, cpu) for action in actions], plan.repetitions * 20)
            yield Row('latency', network, 'ms', slow * 1e3, fast * 1e3, 1, 1, 1 / fast)


def memory(plan: Plan) -> Iterator[Row]:
    """The peak memory (RSS) of a process that trains and evaluates."""
    for network in plan.networks:
        slow, fast = (child.run('train', side.__name__, network, plan.poses * 8, str(plan.device))['rss']
                      for side in SIDES)
        yield Row('memory', network, 'MB', slow / 1e6, fast / 1e6, batch=64)


def loading(plan: Plan) -> Iterator[Row]:
    """Preparing synthetic motion with four cameras a frame, and a training's start up to its first step.

    The program without its cache stands for the straightforward one.
    """
    with tempfile.TemporaryDirectory() as folder:
        child.write_motion(folder, plan.frames)
        for kind, what in (('load', 'training and test set'), ('start', "a training's start")):
            cold, warm = child.run(kind, folder, 'cold'), child.run(kind, folder, 'warm')
            yield Row('loading', f'{what}: s', 's', cold['seconds'], warm['seconds'])
            yield Row('loading', f'{what}: MB', 'MB', cold['rss'] / 1e6, warm['rss'] / 1e6)


SECTIONS = (step, epoch, evaluation, command, p_mpjpe, latency, memory, loading, scaling)
