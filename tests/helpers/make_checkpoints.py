"""Checkpoints of small networks, as this project saves them and as the published code does."""

import pytest
import torch

from common.checkpoint import Checkpoint
from common.datasets.h36m import skeleton
from common.errors import UserError
from models.config import ModelConfig, build_model

SMALL = ModelConfig('gcn', hid_dim=8, num_layers=1)


def train_step(model, optimizer):
    model.train()
    optimizer.zero_grad()
    generator = torch.Generator().manual_seed(5)
    model(torch.randn(6, 16, 2, generator=generator)).square().mean().backward()
    optimizer.step()


def trained(config=SMALL):
    """A network and its Adam after two steps."""
    model = build_model(config, skeleton())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    train_step(model, optimizer)
    train_step(model, optimizer)
    return model, optimizer


def checkpoint_of(model, adam, config=SMALL, **changes):
    order = torch.Generator().manual_seed(11)
    return Checkpoint(**{
        'epoch': 3, 'lr': 2e-3, 'step': 1234, 'state_dict': model.state_dict(), 'optimizer': adam.state_dict(),
        'error': 45.5, 'config': config, 'best_error': 44.25, 'recipe': {'epochs': 5, 'actions': ['Eating']},
        'random': {'torch': torch.get_rng_state(), 'order': order.get_state()}, **changes})


def published(model, adam, path, python2_ids=False, **changes):
    """Save as the published code does: six keys, parameters called by their addresses."""
    state = adam.state_dict()
    if python2_ids:
        count = len(state['param_groups'][0]['params'])
        ids = {index: 140521533358880 + (index * 7919 % count) * 80 for index in range(count)}
        groups = [{**group, 'params': [ids[index] for index in group['params']]} for group in state['param_groups']]
        steps = {ids[index]: {**moments, 'step': int(moments['step'])} for index, moments in state['state'].items()}
        state = {'state': dict(sorted(steps.items())), 'param_groups': groups}
    content = {'optimizer': state, 'state_dict': model.state_dict(), 'step': 950508, 'epoch': 39, 'lr': 6e-4,
               'error': 42.3, **changes}
    torch.save({key: value for key, value in content.items() if value is not ...}, path,
               _use_new_zipfile_serialization=False)
    return str(path)


def rejection(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    text = str(caught.value)
    assert text.endswith('.')
    assert len(text) < 1000
    return text


def assert_equal_bits(found, expected):
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
