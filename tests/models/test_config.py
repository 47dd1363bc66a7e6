"""Configs of networks: what they build, what they refuse, and how they are read off tensors."""

from dataclasses import replace

import pytest

from models.config import ModelConfig, default_config, infer_config
from tests.helpers.networks import OTHER_SKELETONS, SKELETON, build


@pytest.mark.parametrize('config, parameters', [
    (default_config('gcn'), 267_343),
    (replace(default_config('gcn'), non_local=True), 434_703),
    (default_config('linear'), 4_288_557),
])
def test_parameter_counts_are_the_published_ones(config, parameters):
    assert sum(parameter.numel() for parameter in build(config).parameters()) == parameters


@pytest.mark.parametrize('config, skeleton', [
    *((config, SKELETON) for config in (
        ModelConfig('gcn', hid_dim=8, num_layers=3), ModelConfig('gcn', hid_dim=8, num_layers=1, non_local=True),
        ModelConfig('gcn', hid_dim=6, num_layers=2, conv='semch'), ModelConfig('gcn', hid_dim=4, num_layers=0),
        ModelConfig('linear', hid_dim=24, num_layers=3, dropout=0.5), ModelConfig('linear', 8, 1, 0.5, window=9))),
    *((replace(default_config(architecture), hid_dim=8, num_layers=1, window=3), skeleton)
      for architecture in ('gcn', 'linear') for skeleton in OTHER_SKELETONS.values())])
def test_config_can_be_read_off_the_tensors(config, skeleton):
    assert infer_config(build(config, skeleton).state_dict()) == config


def test_a_skeleton_whose_root_is_not_first_is_refused():
    moved = replace(SKELETON, parents=(1, -1, *SKELETON.parents[2:]))
    with pytest.raises(ValueError, match='joint 1'):
        build(default_config('linear'), moved)
