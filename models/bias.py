"""Biases in front of a batch norm.

In training a batch norm subtracts such a bias again, so its true gradient is zero. The computed gradient is a rounding
error, which Adam turns into whole steps. The running means follow these steps late, so evaluations, which use the
running means, are off by millimetres (docs/accuracy.md). Here the gradient is exactly zero.
"""

from torch import Tensor, nn


def bias_before(norm: nn.Module, bias: Tensor) -> Tensor:
    """The bias of a layer that a batch norm follows, with a gradient of zero in training.

    It stays in the graph, because optimizers and DistributedDataParallel expect a gradient for every parameter.
    """
    return bias.detach() + 0 * bias if norm.training else bias
