"""Biases in front of a batch norm."""

import torch
from torch import Tensor, nn


def bias_before(norm: nn.BatchNorm1d, bias: Tensor) -> Tensor:
    """A bias for what a batch norm sees next, with the gradient that it has in training: none.

    In training the norm takes such a bias off again. Computed, its gradient is a rounding error, and of that Adam makes
    whole steps; running means follow them late, and evaluation, which uses those, is off by millimetres that differ
    from step to step (docs/accuracy.md).
    """
    return _Ineffective.apply(bias) if norm.training else bias


class _Ineffective(torch.autograd.Function):
    @staticmethod
    def forward(ctx, bias):
        return bias.view_as(bias)

    @staticmethod
    def backward(ctx, grad):
        return torch.zeros_like(grad)
