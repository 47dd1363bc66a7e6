"""Real motion, written as every detector writes it, comes back through predict.py as the evaluation lifts it."""

import re
from functools import cache

import numpy as np
import pytest
import torch

import predict
from benchmarks.layouts import spread, with_face
from common import checkpoint, inference
from common.datasets import h36m
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.lifting.layouts import LAYOUTS
from tests.conftest import ROOT
from tests.helpers.make_detections import COCO_LIKE, FORMATS, write

CAMERA = 1  # of S9's the first of 1000x1000
EVERY = 4  # of 60 frames a second
IMAGES = ('mmpose_image', 'ultralytics_image')  # hold a single frame


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


def flags(format, name):
    """The flags that name the layout where neither the number of joints nor the format does."""
    recognised = name in ('body25', 'mediapipe33', 'halpe26') or (name == 'coco17' and format in COCO_LIKE + IMAGES)
    return () if recognised else ('--layout', name)


@pytest.mark.parametrize('name', LAYOUTS)
def test_every_format_comes_back_as_the_evaluation_lifts_it(shared, script, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    published = str(shared('pretrained/ckpt_semgcn.pth.tar'))
    pixels, direct = walking(str(shared('mocap/data_3d_cmu.npz')), published)
    lifted = {}
    for format in FORMATS:
        path = write(tmp_path, format, [spread(pixels, name)])
        status, out, err = script(predict.main, '--checkpoint', published, '--input', path, '--output', 'out.npz',
                                  '--size', '1000x1000', '--no_smooth', *flags(format, name))
        assert status == 0 and f'layout {name},' in out and 'swapped' not in err, err
        lifted[format] = np.load('out.npz')['positions_3d']
        assert len(lifted[format]) == (1 if format in IMAGES else len(pixels))
    for format, positions in lifted.items():
        away = np.linalg.norm(positions - direct[:len(positions)], axis=-1)
        if name == 'h36m16':
            assert away.max() < 1e-4, format
        if format in IMAGES:
            np.testing.assert_allclose(positions, lifted['npy'][:1], atol=1e-4)
        else:
            assert 1000 * away.mean() == pytest.approx(stated()[name], abs=0.06), format  # stated to 0.1
