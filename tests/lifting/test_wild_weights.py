"""The pretrained weights: small, safe to load, for every script, and better than a pose without depth."""

import os

import numpy as np
import pytest
import torch

import export
import main_gcn
import predict
from common.checkpoint import load_checkpoint
from common.datasets import h36m
from common.datasets.virtual.detector_noise import SIMULATED_LAYOUTS
from common.evaluation.metrics import p_mpjpe
from common.geometry import body
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.geometry.mirror import Mirror
from common.lifting.lifter import DEFAULT_CHECKPOINT, Lifter
from tests.helpers.make_detections import demo_person, demo_walking

WEIGHTS = os.path.normpath(DEFAULT_CHECKPOINT)


def test_the_file_is_small_and_says_what_it_is():
    assert os.path.getsize(WEIGHTS) <= 2_000_000
    torch.load(WEIGHTS, weights_only=True)
    checkpoint = load_checkpoint(WEIGHTS)
    assert checkpoint.normalization == 'person' and checkpoint.config.window == 5 and checkpoint.optimizer is None
    assert checkpoint.recipe['hide'] > 0 and len(SIMULATED_LAYOUTS) == 5
    assert sum(value.numel() for name, value in checkpoint.state_dict.items() if 'running' not in name) < 440_000


@pytest.mark.parametrize('hidden', [[], [12], [3, 6, 12, 15]])
def test_poses_of_somebody_it_never_saw_come_out(hidden):
    camera = h36m.cameras()['S9'][1]
    seen = world_to_camera(demo_person()['Walking'].astype(np.float64), camera)
    pixels = image_coordinates(project(seen, camera), camera.width, camera.height)
    pixels[:, hidden] = np.nan
    lifted = Lifter()(pixels, (camera.width, camera.height), 'h36m16', fps=50)
    truth = torch.from_numpy(seen - seen[:, :1])
    flat = np.concatenate([project(seen, camera), seen[..., :1] * 0], -1)
    error, without_depth = (p_mpjpe(torch.from_numpy(poses).double(), truth).mean() for poses in (lifted, flat))
    assert error < (0.9 if hidden else 0.6) * without_depth


def test_the_mirror_image_of_a_person_is_lifted_to_the_mirror_image():
    pixels = demo_walking(2)[::10]
    order = Mirror(h36m.skeleton(), torch.device('cpu')).order.numpy()
    lift, turned = Lifter(), pixels[:, order].copy()
    turned[..., 0] = 1000 - turned[..., 0]
    lifted = lift(pixels, (1000, 1000), 'h36m16')
    np.testing.assert_allclose(lift(turned, (1000, 1000), 'h36m16'), lifted[:, order] * [-1, 1, 1], atol=1e-5)


@pytest.mark.parametrize('action', ['Walking', 'Greeting', 'Sitting'])
def test_the_trunk_is_between_shoulders_and_hips(action):
    camera = h36m.cameras()['S9'][1]
    seen = world_to_camera(demo_person()[action][::10].astype(np.float64), camera)
    pixels = image_coordinates(project(seen, camera), camera.width, camera.height)
    lifted = Lifter()(pixels, (camera.width, camera.height), 'h36m16', fps=5)
    np.testing.assert_allclose(lifted[:, body.THORAX], lifted[:, body.SHOULDERS].mean(1), atol=1e-6)
    np.testing.assert_allclose(lifted[:, body.SPINE], lifted[:, body.THORAX] / 2, atol=1e-6)


def test_predict_takes_it_by_default_and_says_what_it_saw(tmp_path, script, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save('k.npy', demo_walking(2))
    status, out, err = script(predict.main, '--input', 'k.npy', '--layout', 'h36m16', '--size', '1000x1000',
                              '--output', 'out.npz')
    assert status == 0 and 'trained on simulated detections of virtual cameras, as it records' in out, err
    assert np.isfinite(np.load('out.npz')['positions_3d']).all()


def test_other_scripts_take_it(workplace, script):
    status, out, err = script(main_gcn.main, '--dataset', 'tiny', '--evaluate', WEIGHTS)
    assert status == 0 and '5 frames at a time' in out, err
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    status, out, err = script(export.main, '--checkpoint', WEIGHTS, '--output', 'wild.onnx')
    assert status == 0 and 'largest difference' in out, err
