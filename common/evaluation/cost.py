"""The cost of a network: parameters, and multiply-adds for a pose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def cost(model: nn.Module, keypoints: Tensor) -> str:
    """Parameters and multiply-adds of a network, as text; `keypoints` are the network's input for any poses."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return f'{parameters:,} parameters, {multiply_adds(model, keypoints[:1]):,} multiply-adds a pose'


def multiply_adds(model: nn.Module, keypoints: Tensor) -> int:
    """Multiply-adds of the matrix products and convolutions in a prediction, counted while it runs.

    PyTorch's own FlopCounterMode counts the same (tests/evaluation/test_cost.py), but takes seconds to import.
    """
    training = model.training
    with torch.no_grad(), _Counter() as counter:
        model.eval()(keypoints)
    model.train(training)
    return counter.count


class _Counter(TorchFunctionMode):
    """Counts the multiply-adds of the functions that are called within its context."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, '__name__', '')
        if name in ('matmul', 'mm', 'bmm'):
            self.count += result.numel() * args[0].shape[-1]
        elif name in ('addmm', 'baddbmm'):
            self.count += result.numel() * args[1].shape[-1]
        elif name in ('linear', 'conv1d', 'conv2d'):
            weight: Tensor = args[1]
            self.count += result.numel() * weight[0].numel()
        elif name == 'einsum':
            letters = args[0].replace(' ', '').split('->')[0].split(',')
            sizes = dict(zip(''.join(letters), (size for operand in args[1:] for size in operand.shape), strict=True))
            self.count += math.prod(sizes.values())
        return result
