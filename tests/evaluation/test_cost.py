"""Multiply-adds against PyTorch's own counter, and by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from common.datasets import h36m
from common.evaluation.cost import cost, multiply_adds
from models.config import ModelConfig, build_model, default_config


@pytest.mark.parametrize('config', [ModelConfig('gcn'), ModelConfig('gcn', non_local=True),
                                    ModelConfig('gcn', conv='semch'), default_config('linear')])
def test_multiply_adds_are_half_of_pytorchs_flops(config):
    model = build_model(config, h36m.skeleton()).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 16, 2))
    assert multiply_adds(model, torch.zeros(1, 16, 2)) == counter.get_total_flops() / 2


def test_the_cost_of_the_linear_model_by_hand():
    products = 32 * 1024 + 4 * 1024 * 1024 + 1024 * 45
    text = cost(build_model(default_config('linear'), h36m.skeleton()), torch.zeros(7, 16, 2))
    assert text == f'4,288,557 parameters, {products:,} multiply-adds a pose'
