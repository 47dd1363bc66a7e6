"""Real motion in every layout comes back as the evaluation lifts it."""

import re
from functools import cache

import numpy as np
import pytest
import torch

from common import checkpoint, inference
from common.datasets import h36m
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.lifter import Lifter
from tests.conftest import ROOT
from tests.helpers.layouts import spread, with_face

CAMERA = 1  # of S9's the first of 1000x1000
EVERY = 4  # of 60 frames a second


@cache
def walking(mocap, published):
    """S9 walking: (T, 21, 2) pixels of joints and face, and the (T, 16, 3) metres that the evaluation gives."""
    world = npz.read_npz(mocap, ('positions_3d',))['positions_3d']['S9']['Walking']
    camera = h36m.cameras()['S9'][CAMERA]
    poses = with_face(world[::EVERY, h36m.KEPT_JOINTS])
    seen = project(world_to_camera(poses, camera), camera)
    network = checkpoint.restore_model(checkpoint.load_checkpoint(published), published, h36m.skeleton())
    direct = inference.predict(network, torch.from_numpy(seen[:, :16])).numpy()
    return image_coordinates(seen.astype(float), camera.width, camera.height), direct


def stated():
    """{layout: mm} as docs/measurements/lifting.md states them."""
    rows = re.findall(r'^\| ([a-z0-9, ]+) \| (\d+\.\d) \|', (ROOT / 'docs/measurements/lifting.md').read_text(),
                      re.MULTILINE)
    return {name: float(error) for names, error in rows for name in names.split(', ')}


def test_the_documentation_states_an_error_for_every_layout():
    assert stated().keys() == LAYOUTS.keys()


@pytest.mark.parametrize('name', LAYOUTS)
def test_every_layout_comes_back_as_the_evaluation_lifts_it(shared, name):
    published = str(shared('pretrained/ckpt_semgcn.pth.tar'))
    pixels, direct = walking(str(shared('mocap/data_3d_cmu.npz')), published)
    away = np.linalg.norm(Lifter(published)(spread(pixels, name), (1000, 1000), name) - direct, axis=-1)
    if name == 'h36m16':
        assert away.max() < 1e-4
    assert 1000 * away.mean() == pytest.approx(stated()[name], abs=0.06)  # stated to 0.1
