"""Check that memory stays flat under load: `python -m benchmarks.load` measures peaks at two sizes.

Each measurement runs in its own process. It makes its input, measures its peak memory, does the work, and reports by
how much the peak has risen, without the requested output. The rest is extrapolated from the two sizes to the full load,
and must grow by less than `FLAT` bytes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch

from benchmarks.worker import peak_memory
from common import inference
from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.datasets.poses import Poses
from common.evaluation import evaluate as evaluation
from common.flags import Parser
from common.lifting.lifter import Lifter
from common.malloc import keep_freed_memory
from common.rendering import animation
from common.rendering.clip import Clip, View
from models.config import ModelConfig, build_model

CONFIG = ModelConfig('gcn', hid_dim=4, num_layers=0)
POSES = 500_000, 5_000_000, 5_000_000  # small, large, full load
FRAMES = 4_000, 16_000, 3600 * 50  # an hour of Human3.6M; at 4,000 all buffers have their final size
FLAT = 100e6
Work = tuple[Callable[[], object], int, int]  # what to do, bytes of its input, bytes of its output


def keypoints(count: int) -> torch.Tensor:
    """Random keypoints, made in place, so that making them needs no further memory."""
    return torch.empty(count, 16, 2).uniform_(-0.5, 0.5)


def evaluate(count: int) -> Work:
    keep_freed_memory()  # as the training scripts do
    positions, zeros = torch.empty(count, 16, 3).uniform_(-1, 1), torch.zeros(count, dtype=torch.long)
    poses = Poses(keypoints(count), positions, torch.zeros(count, 3), torch.arange(count).remainder_(15), zeros,
                  kind_names=list(h36m.ACTIONS), cameras=[])
    action = partial(evaluation.evaluate, build_model(CONFIG, h36m.skeleton()), poses)
    return action, poses.keypoints.nbytes + positions.nbytes + zeros.nbytes, 0


def predict(count: int) -> Work:
    made, model = keypoints(count), build_model(CONFIG, h36m.skeleton())
    inference.predict(model, made[:1000])
    return partial(inference.predict, model, made), made.nbytes, made.nbytes * 3 // 2


def lift(count: int) -> Work:
    """`Lifter`, as predict.py uses it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'model.pth.tar')
        Checkpoint(1, 1e-3, 1, build_model(CONFIG, h36m.skeleton()).state_dict(), None, 0.0, CONFIG).save(path)
        lifter = Lifter(path)
    made = keypoints(count).numpy()
    lifter.lift(made[:1000])
    return partial(lifter.lift, made), made.nbytes, made.nbytes * 3 // 2


def render(suffix: str, count: int) -> Work:
    rng = np.random.default_rng(0)
    walk = rng.normal(0, 0.3, (1, 50, 16, 3)).cumsum(1)[:, np.arange(count) % 50]
    clip = Clip(500 + 200 * walk[..., :2], (1000, 1000), [View('3D', walk)], h36m.skeleton(), 50)
    path = os.path.join(tempfile.mkdtemp(), f'clip{suffix}')
    animation.render(clip.cut(100), path, 1)
    return partial(animation.render, clip, path, 1), walk.nbytes * 5 // 3, 0


MEASURED: dict[str, tuple[Callable[[int], Work], tuple[int, int, int]]] = {
    'evaluate': (evaluate, POSES), 'predict': (predict, POSES), 'Lifter.lift': (lift, POSES),
    'rendering .gif': (partial(render, '.gif'), FRAMES), 'rendering .mp4': (partial(render, '.mp4'), FRAMES),
}


def measure(what: str, count: int) -> None:
    """Print the memory and time of one piece of work in this process, as JSON."""
    work, given, output = MEASURED[what][0](count)
    before, started = peak_memory(), time.monotonic()
    made = work()
    print(json.dumps({'input': given, 'output': output, 'rest': max(peak_memory() - before - output, 0),
                      'seconds': time.monotonic() - started}))
    del made


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument('--measure', nargs=2, metavar=('WORK', 'COUNT'), help='measure one work in this process')
    parser.add_argument('--what', choices=list(MEASURED), action='append', help='only this work; may be repeated')
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]))
        return 0
    print(f'{"MB":18}{"count":>12}{"input":>9}{"output":>9}{"the rest":>9}{"seconds":>9}')
    growing = []
    for what in arguments.what or MEASURED:
        rests = []
        small, large, full = MEASURED[what][1]
        for count in (small, large):
            command = [sys.executable, '-m', 'benchmarks.load', '--measure', what, str(count)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = json.loads(printed.splitlines()[-1])
            rests.append(found['rest'])
            print(f'{what:18}{count:12,}{found["input"] / 1e6:9.0f}{found["output"] / 1e6:9.0f}'
                  f'{found["rest"] / 1e6:9.1f}{found["seconds"]:9.0f}', flush=True)
        growth = (rests[1] - rests[0]) / (large - small) * full
        if growth > FLAT:
            growing.append(f'{what} grows by {growth / 1e6:,.0f} MB to {full:,}')
    print('; '.join(growing) or 'Memory stays flat.')
    return min(len(growing), 1)


if __name__ == '__main__':
    sys.exit(main())
