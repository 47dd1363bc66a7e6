"""export.py: its file computes what the network computes, for any batch size, and describes the network."""

import builtins
import json
import os

import numpy as np
import pytest
import torch

import export
from common import checkpoint
from common.datasets import h36m
from common.errors import UserError
from common.geometry.camera import normalize_screen
from common.lifting import export_graph
from common.lifting.lifter import Lifter
from models.config import ModelConfig, build_model
from tests.helpers.networks import OTHER_SKELETONS


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, 'lifelike_poses', lambda: np.full((3, 16, 2), 0.1, np.float32))

    def save(skeleton=None, **kinds):
        config = ModelConfig(**{'architecture': 'gcn', 'hid_dim': 8, 'num_layers': 1, **kinds})
        model = build_model(config, skeleton or h36m.skeleton())
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm1d):  # as after training
                torch.nn.init.uniform_(norm.running_var, 0.5, 2)
                torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
                torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        checkpoint.Checkpoint(1, 1e-3, 1, model.state_dict(), None, 50.0, config,
                              skeleton=skeleton).save('m.pth.tar')
        return 'm.pth.tar'
    return save


@pytest.mark.parametrize('kinds', [{'non_local': True}, {'architecture': 'linear'}], ids=['non_local', 'linear'])
def test_onnx_answers_as_the_network(saved, script, kinds):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    path = saved(**kinds)
    status, out, err = script(export.main, '--checkpoint', path, '--output', 'm.onnx')
    assert status == 0, err
    assert 'largest difference from PyTorch' in out and 'opset 18' in out
    model = onnx.load('m.onnx')
    onnx.checker.check_model(model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata['joints'].split(',') == list(h36m.skeleton().names)
    assert 'x / w * 2' in metadata['input'] and 'metres from the hip' in metadata['output']
    assert json.loads(metadata['parents']) == list(h36m.skeleton().parents)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ['keypoints', 'positions']
    shapes = [[dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
              for value in (*model.graph.input, *model.graph.output)]
    assert shapes == [['batch', 16, 2], ['batch', 16, 3]]
    call, lifter = export_graph.load_onnx('m.onnx'), Lifter(path)
    with pytest.raises(Exception, match='Got: 17 Expected: 16'):
        call(np.zeros((1, 17, 2), np.float32))
    for count in (1, 2, 5):
        keypoints = np.random.default_rng(count).normal(0, 0.3, (count, 16, 2)).astype(np.float32)
        np.testing.assert_allclose(call(keypoints), lifter.lift(keypoints), atol=1e-5)


@pytest.mark.parametrize('name', ['Human3.6M 17', 'hand of 21'])
def test_other_skeletons(saved, script, name):
    skeleton = OTHER_SKELETONS[name]
    path = saved(skeleton)
    status, out, err = script(export.main, '--checkpoint', path, '--output', 'm.pt2', '--format', 'pt2')
    assert status == 0 and 'uniform random poses' in out, err
    call, lifter = export_graph.load_pt2('m.pt2'), Lifter(path)
    keypoints = np.random.default_rng(0).uniform(100, 900, (4, len(skeleton), 2))
    inputs = normalize_screen(keypoints, 1000, 1000).astype(np.float32)
    np.testing.assert_allclose(call(inputs), lifter(keypoints, (1000, 1000)), atol=1e-5)
    with pytest.raises(UserError, match=f'have 16 joints, and m.pth.tar lifts its own {len(skeleton)}'):
        lifter(keypoints[:, :16], (1000, 1000))


def test_pt2_answers_as_the_network(saved, script):
    path = saved()
    status, _, err = script(export.main, '--checkpoint', path, '--output', 'm.pt2', '--format', 'pt2')
    assert status == 0, err
    extra = {'metadata.json': ''}
    torch.export.load('m.pt2', extra_files=extra)
    assert json.loads(extra['metadata.json'])['joints'].startswith('Hip,RHip')


def test_names_that_are_not_utf_8(saved, script):
    name = os.fsdecode(b'm\xff')
    os.rename(saved(), f'{name}.pth.tar')
    status, out, err = script(export.main, '--checkpoint', f'{name}.pth.tar', '--output', f'{name}.pt2', '--format',
                              'pt2')
    assert status == 0 and 'm?.pt2: SemGCN' in out, err


def test_a_file_that_differs_is_not_passed_off(saved, script, monkeypatch):
    monkeypatch.setitem(export.WRITERS, 'pt2', (lambda path, lifter: open(path, 'w').close(),
                                                lambda path: lambda keypoints: np.full((len(keypoints), 16, 3), np.nan),
                                                'torch.export'))
    status, _, err = script(export.main, '--checkpoint', saved(), '--output', 'm.pt2', '--format', 'pt2')
    assert status == 2 and 'differs from the network by inf' in err


def test_missing_packages_and_wrong_names_get_one_sentence(saved, script, monkeypatch):
    path = saved()
    status, _, err = script(export.main, '--checkpoint', path, '--output', 'm.bin')
    assert status == 2 and 'must end in .onnx' in err
    real = builtins.__import__

    def without(name, *rest):
        if name == 'onnxscript':
            raise ImportError(name)
        return real(name, *rest)
    monkeypatch.setattr(builtins, '__import__', without)
    status, _, err = script(export.main, '--checkpoint', path, '--output', 'm.onnx')
    assert status == 2 and 'pip install onnx onnxscript onnxruntime' in err
