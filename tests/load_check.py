"""Does memory stay flat under load? `python -m tests.load_check` measures peaks at one size and at a larger one.

Each measurement is a process of its own: it makes its input, notes the peak of its memory, does the work, and tells by
how much the peak has risen. What the work gives back (`output`) is taken off: the caller has asked for it. What the
rest grows by from the smaller to the larger, drawn out to the full load, must stay below `FLAT` bytes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch

from common import inference
from common.datasets import h36m
from common.datasets.poses import Poses
from common.evaluation import evaluate as scoring
from common.lifting.lifter import Lifter
from common.rendering import animation
from common.rendering.clip import Clip, View
from common.training.malloc import keep_freed_memory
from models.config import build_model
from tests.fuzzing.npz import CONFIG, checkpoint

POSES = 500_000, 5_000_000, 5_000_000  # small, large, full load
FRAMES = 4_000, 16_000, 3600 * 50  # an hour of Human3.6M; by 4,000 all buffers are as large as they get
FLAT = 100e6


def keypoints(count: int) -> torch.Tensor:
    """Random ones, made in place, so that making them has no peak of its own."""
    return torch.empty(count, 16, 2).uniform_(-0.5, 0.5)


def poses(count: int) -> Poses:
    positions = torch.empty(count, 16, 3).uniform_(-1, 1)
    return Poses(keypoints(count), positions, torch.zeros(count, 3), torch.arange(count).remainder_(15),
                 torch.zeros(count, dtype=torch.long), kind_names=list(h36m.ACTIONS), cameras=[])


def size_of(*tensors: torch.Tensor) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def evaluate(count: int) -> tuple[Callable, int, int]:
    keep_freed_memory()  # as the trainers do
    made, model = poses(count), build_model(CONFIG, h36m.skeleton())
    mean = torch.zeros(16, 3)
    scoring.evaluate(model, poses(1000), mean)
    return lambda: scoring.evaluate(model, made, mean), size_of(made.keypoints, made.positions, made.kinds), 0


def predict(count: int) -> tuple[Callable, int, int]:
    made, model = keypoints(count), build_model(CONFIG, h36m.skeleton())
    inference.predict(model, made[:1000])
    return lambda: inference.predict(model, made), size_of(made), made.nbytes * 3 // 2


def lift(count: int) -> tuple[Callable, int, int]:
    """`Lifter`, as predict.py uses it."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint().save(os.path.join(folder, 'model.pth.tar'))
        lifter = Lifter(os.path.join(folder, 'model.pth.tar'))
    made = keypoints(count).numpy()
    lifter.lift(made[:1000])
    return lambda: lifter.lift(made), made.nbytes, made.nbytes * 3 // 2


def render(count: int, suffix: str) -> tuple[Callable, int, int]:
    rng = np.random.default_rng(0)
    walk = rng.normal(0, 0.3, (1, 50, 16, 3)).cumsum(1)[:, np.arange(count) % 50]
    clip = Clip(500 + 200 * walk[..., :2], (1000, 1000), [View('3D', walk)], h36m.skeleton(), 50)
    folder = tempfile.mkdtemp()
    animation.render(clip.cut(100), os.path.join(folder, f'x{suffix}'), 1)
    return lambda: animation.render(clip, os.path.join(folder, f'x{suffix}'), 1), walk.nbytes * 5 // 3, 0


MEASURED: dict[str, tuple[Callable[[int], tuple[Callable, int, int]], tuple[int, int, int]]] = {
    'evaluate': (evaluate, POSES), 'predict': (predict, POSES), 'Lifter.lift': (lift, POSES),
    'rendering .gif': (lambda count: render(count, '.gif'), FRAMES),
    'rendering .mp4': (lambda count: render(count, '.mp4'), FRAMES),
}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(what: str, count: int) -> None:
    """Print, as JSON, what one piece of work takes in this process."""
    work, given, output = MEASURED[what][0](count)
    before, begun = peak(), time.monotonic()
    made = work()
    print(json.dumps({'input': given, 'output': output, 'grown': peak() - before, 'before': before,
                      'seconds': time.monotonic() - begun}))
    del made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--measure', nargs=2, metavar=('WHAT', 'COUNT'), help='one of them, in this process')
    parser.add_argument('--what', choices=list(MEASURED), action='append', help='only these')
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]))
        return 0
    print(f'{"MB":18}{"count":>12}{"input":>9}{"output":>9}{"the rest":>9}{"seconds":>9}')
    growing = []
    for what in arguments.what or MEASURED:
        found = []
        *counts, full = MEASURED[what][1]
        for count in counts:
            told = subprocess.run([sys.executable, '-m', 'tests.load_check', '--measure', what, str(count)],
                                  capture_output=True, text=True, check=True).stdout
            found.append(json.loads(told.splitlines()[-1]))
            rest = found[-1]['rest'] = max(found[-1]['grown'] - found[-1]['output'], 0)
            print(f'{what:18}{count:12,}{found[-1]["input"] / 1e6:9.0f}{found[-1]["output"] / 1e6:9.0f}'
                  f'{rest / 1e6:9.1f}{found[-1]["seconds"]:9.0f}', flush=True)
        growth = (found[1]['rest'] - found[0]['rest']) / (counts[1] - counts[0]) * full
        if growth > FLAT:
            growing.append(f'{what} grows by {growth / 1e6:,.0f} MB to {full:,}')
    print('; '.join(growing) or 'All of it is flat.')
    return min(len(growing), 1)


if __name__ == '__main__':
    sys.exit(main())
