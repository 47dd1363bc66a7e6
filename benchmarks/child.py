"""What has to be measured in a process of its own: peak memory, and the time from a program's start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import torch

from common.files.npz import write_npz

STEPS = 20
SPLIT = {'S1': 0.149, 'S5': 0.149, 'S6': 0.149, 'S7': 0.149, 'S8': 0.146, 'S9': 0.129, 'S11': 0.129}  # as in Human3.6M


def run(kind: str, *arguments) -> dict:
    """Do it in a fresh process, with this one's threads; gives what `_report` says."""
    environment = {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads())}
    command = [sys.executable, '-m', 'benchmarks.child', kind, *map(str, arguments), str(time.time())]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True,
                                     text=True).stdout.splitlines()[-1])


def write_motion(folder: str, frames: int) -> None:
    """data_3d_bench.npz: that many frames of random walks in Human3.6M's layout, old enough to be cached."""
    rng = np.random.default_rng(0)
    rest = rng.normal(0, 0.15, (32, 3))
    people = {subject: {'Walking': (rest + [0, 0, 1] + np.clip(
        np.cumsum(rng.normal(0, 0.003, (int(frames * share), 32, 3)), axis=0), -0.3, 0.3)).astype(np.float32)}
        for subject, share in SPLIT.items()}
    path = os.path.join(folder, 'data_3d_bench.npz')
    write_npz(path, positions_3d=people)
    os.utime(path, (0, 0))


def _report(started: float) -> None:
    """Seconds since this process was asked for, and the most memory it had, bytes."""
    print(json.dumps({'seconds': time.time() - started, 'rss': peak_memory()}), flush=True)


def peak_memory() -> int:
    if os.path.exists('/proc/self/status'):  # Linux's getrusage goes on with the parent's peak
        with open('/proc/self/status', encoding='ascii') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) * 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def train(side: str, network: str, poses: str, device: str, started: str) -> None:
    from benchmarks import sides
    program = getattr(sides, side)(sides.NETWORKS[network], torch.device(device))
    data = sides.random_poses(int(poses))
    program.epoch(data, limit=STEPS)
    program.evaluate(data)
    _report(float(started))


def load(folder: str, state: str, _: str) -> None:
    from common.datasets.splits import Data
    data, started = Data(_options(folder, state)), time.time()
    kept = data.train(), data.test()
    _report(started)
    del kept


def start(folder: str, state: str, started: str) -> None:
    import main_gcn
    from common.training.optimizer import PackedAdam
    options, take = _options(folder, state), PackedAdam.step

    def stop(*given):
        take(*given)
        _report(float(started))
        os._exit(0)

    PackedAdam.step = stop  # type: ignore[method-assign,assignment]
    sys.argv = ['main_gcn.py', '-d', options.dataset, '--data_dir', folder, '-c', os.path.join(folder, 'runs')]
    main_gcn.main()


def evaluate(side: str, network: str, folder: str, started: str) -> None:
    from benchmarks import sides
    from common.datasets import cache as pose_cache
    if side == 'Program':
        import main_gcn
        import main_linear
        sys.argv = ['main.py', '-d', 'bench', '--data_dir', folder, '--evaluate', checkpoint(folder, network)]
        (main_linear if network == 'linear' else main_gcn).main()
    else:
        from common.datasets.splits import Data
        options = _options(folder, 'warm')
        pose_cache.PoseCache.load = pose_cache.PoseCache.save = lambda *_: None  # type: ignore[assignment,method-assign]
        print(sides.Straightforward(sides.NETWORKS[network], torch.device('cpu')).evaluate(Data(options).test()))
    _report(float(started))


def checkpoint(folder: str, network: str) -> str:
    """A file with an untrained network, for this program to read."""
    from benchmarks import sides
    from common.checkpoint import Checkpoint
    path, config = os.path.join(folder, f'{network}.pth.tar'), sides.NETWORKS[network]
    if not os.path.exists(path):
        model = sides.Program(config, torch.device('cpu')).model
        Checkpoint(1, 1e-3, 1, model.state_dict(), None, 0.0, config).save(path)
    return path


def _options(folder, state):
    from common.datasets import cache as pose_cache
    from common.datasets.loading import DataOptions
    pose_cache.SMALL = 0
    if state == 'cold':
        shutil.rmtree(os.path.join(folder, 'cache'), ignore_errors=True)
    return DataOptions(dataset='bench', data_dir=folder)


if __name__ == '__main__':
    {'train': train, 'load': load, 'start': start, 'evaluate': evaluate}[sys.argv[1]](*sys.argv[2:])
