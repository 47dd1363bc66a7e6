"""What tests share: small data of their own, the shared files where they exist, and a way to run a script in place."""

import os
import sys
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # small arrays: two threads only wait for each other
os.environ.setdefault('MPLBACKEND', 'Agg')

import numpy as np
import pytest
import torch

from common.datasets import h36m
from common.errors import run_script
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / 'tests' / 'golden'
SHARED = ROOT.parent / 'shared'


@pytest.fixture
def golden():
    """Read an array file of tests/golden."""
    return lambda name: dict(np.load(GOLDEN / f'{name}.npz'))


@pytest.fixture
def shared():
    """Path of a file in ../shared, or a skip with this reason."""
    def find(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f'../shared/{name} is not here; it is not part of the project')
        return path
    return find


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def moving_people(subjects=('S1', 'S5', 'S9'), actions=('Walking', 'Walking 1', 'Eating'), frames=12, seed=0):
    """{subject: {action: (T, 32, 3)}}: bodies of plausible size that sway inside the capture area, metres."""
    rng = np.random.default_rng(seed)
    skeleton = h36m.SKELETON_32
    bones = rng.normal(0, 0.12, (32, 3))
    rest = np.zeros((32, 3))
    for parent, child in skeleton.bones:
        rest[child] = rest[parent] + bones[child]
    people = {}
    for subject in subjects:
        people[subject] = {}
        for action in actions:
            sway = np.cumsum(rng.normal(0, 0.01, (frames, 32, 3)), axis=0)
            place = np.append(rng.uniform(-0.5, 0.5, 2), 1.0)
            people[subject][action] = (rest * rng.uniform(0.8, 1.2) + sway + place).astype(np.float32)
    return people


def pixels_of(people, extra=0, joints=h36m.KEPT_JOINTS):
    """The 2D of `moving_people` in the published layout, {subject: {action: [(T + extra, J, 2) pixels]}}."""
    return {subject: {action: [
        image_coordinates(project(world_to_camera(np.concatenate([sequence, sequence[:1].repeat(extra, 0)])
                                                  [:, joints], camera), camera), camera.width,
                          camera.height) for camera in h36m.cameras()[subject]]
        for action, sequence in actions.items()} for subject, actions in people.items()}


@pytest.fixture
def data_dir(tmp_path):
    """A folder with the small dataset `tiny`: S1 and S5 to train, S9 to test."""
    folder = tmp_path / 'data'
    folder.mkdir()
    npz.write_npz(str(folder / 'data_3d_tiny.npz'), positions_3d=moving_people())
    return folder


@pytest.fixture
def workplace(data_dir, monkeypatch):
    """A working directory with `data/data_3d_tiny.npz`."""
    monkeypatch.chdir(data_dir.parent)
    return data_dir.parent


@pytest.fixture
def script(capsys, monkeypatch):
    """Run a script's main with arguments; gives (exit status, standard output, standard error)."""
    def run(main, *arguments):
        monkeypatch.setattr(sys, 'argv', ['script.py', *map(str, arguments)])
        status = 0
        try:
            run_script(main)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        out, err = capsys.readouterr()
        return status, out, err
    return run


@pytest.fixture(autouse=True)
def _no_shared_randomness():
    torch.manual_seed(1234)
    yield
