"""Fine-tuning: what fits of a checkpoint is taken, joint by joint, and what does not fit is named."""

import dataclasses

import pytest
import torch

from common.checkpoint import load_checkpoint
from common.datasets import h36m
from common.training.initialise import initialise_from
from models.config import ModelConfig, build_model
from tests.helpers.make_checkpoints import SMALL, checkpoint_of, published, rejection, trained

LINEAR = ModelConfig('linear', hid_dim=8, num_layers=1)


def saved(path, config, **changes):
    """A network, its weights all different, and its file."""
    model, optimizer = trained(config)
    for value in model.state_dict().values():
        value.copy_(torch.arange(value.numel()).view_as(value) + 1)
    checkpoint_of(model, optimizer, config, **changes).save(str(path))
    return model


@pytest.mark.parametrize('config', [SMALL, dataclasses.replace(SMALL, non_local=True), LINEAR])
def test_all_of_the_same_network_is_taken(tmp_path, config):
    path = tmp_path / 'a.pth.tar'
    model = saved(path, config)
    fresh = build_model(config, h36m.skeleton())
    assert initialise_from(fresh, load_checkpoint(str(path)), str(path), h36m.skeleton()) == []
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


@pytest.mark.parametrize('config', [SMALL, LINEAR])
def test_a_network_of_another_unit_answers_the_same_metres(tmp_path, config):
    path = tmp_path / 'a.pth.tar'
    model = saved(path, config).eval()
    fresh = build_model(dataclasses.replace(config, unit=0.25), h36m.skeleton()).eval()
    initialise_from(fresh, load_checkpoint(str(path)), str(path), h36m.skeleton())
    keypoints = torch.randn(3, 16, 2)
    torch.testing.assert_close(fresh(keypoints), model(keypoints))


def test_averaged_weights_are_taken_where_there_are_some(tmp_path):
    path = tmp_path / 'a.pth.tar'
    average = {name: value * 0 + 7 for name, value in build_model(SMALL, h36m.skeleton()).state_dict().items()}
    saved(path, SMALL, average={'state_dict': average, 'updates': 5})
    fresh = build_model(SMALL, h36m.skeleton())
    initialise_from(fresh, load_checkpoint(str(path)), str(path), h36m.skeleton())
    assert all((value == 7).all() for value in fresh.state_dict().values())


def test_edges_are_matched_by_the_names_of_joints(tmp_path):
    """From 16 joints to 17: Neck/Nose has no weights, and neither has the head's new edge."""
    path = tmp_path / 'a.pth.tar'
    model = saved(path, SMALL)
    fresh = build_model(SMALL, h36m.skeleton_17())
    missed = initialise_from(fresh, load_checkpoint(str(path)), str(path), h36m.skeleton_17())
    assert [name.split(' (')[0] for name in missed] == [name for name in model.state_dict() if name.endswith('.e')]
    assert missed[0].endswith('(5 of 49 are not in the file)')
    old, new = h36m.skeleton().names, h36m.skeleton_17().names
    mine = fresh.gconv_input[0].gconv
    theirs = model.gconv_input[0].gconv
    weight = {(old[a], old[b]): value for a, b, value in zip(theirs.rows, theirs.columns, theirs.e[0].tolist())}
    for a, b, value in zip(mine.rows, mine.columns, mine.e[0].detach()):
        assert float(value) == weight.get((new[a], new[b]), 1.0)
    assert torch.equal(mine.W, theirs.W)


def test_coordinates_of_the_linear_model_are_matched_by_joints(tmp_path):
    path = tmp_path / 'a.pth.tar'
    model = saved(path, LINEAR)
    fresh = build_model(LINEAR, h36m.skeleton_17())
    missed = initialise_from(fresh, load_checkpoint(str(path)), str(path), h36m.skeleton_17())
    assert [text.split(' (')[0] for text in missed] == ['w1.weight', 'w2.weight', 'w2.bias']
    old, new = h36m.skeleton().names, h36m.skeleton_17().names
    for name in ('Hip', 'Head', 'RWrist'):
        mine, theirs = new.index(name), old.index(name)
        assert torch.equal(fresh.w1.weight.view(8, 17, 2)[:, mine], model.w1.weight.view(8, 16, 2)[:, theirs])
        if name != 'Hip':
            assert torch.equal(fresh.w2.bias.view(16, 3)[mine - 1], model.w2.bias.view(15, 3)[theirs - 1])


def test_what_does_not_fit_is_named(tmp_path):
    model, optimizer = trained()
    path = published(model, optimizer, tmp_path / 'a.pth.tar')
    wider = dataclasses.replace(SMALL, num_layers=2, window=3)
    missed = initialise_from(build_model(wider, h36m.skeleton()), load_checkpoint(path), path, h36m.skeleton())
    assert missed[0] == 'gconv_input.0.gconv.W ((2, 2, 8) in the file, (2, 6, 8) here)'
    assert all('gconv_layers.1.' in text and text.endswith(' (not in the file)') for text in missed[1:])
    text = rejection(initialise_from, build_model(LINEAR, h36m.skeleton()), load_checkpoint(path), path,
                     h36m.skeleton())
    assert text == f'{path} holds a SemGCN (1 layers of 8), of which nothing fits this network.'
