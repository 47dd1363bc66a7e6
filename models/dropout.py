"""Dropout whose random numbers cost little on a CPU."""

import torch
from torch import Tensor
from torch.nn import functional as F

_BITS = 16  # random ones an element


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """As `F.dropout`: in training zero elements with probability p and scale the others by 1 / (1 - p)."""
    if training and p and x.device.type == 'cpu' and not torch.compiler.is_compiling():
        return x * dropout_mask(x, p)
    return F.dropout(x, p, training)  # on a GPU one fused operation


def dropout_mask(x: Tensor, p: float) -> Tensor:
    """What dropout multiplies x by, of x's shape: 0 with probability p, else 1 / (1 - p).

    On a CPU PyTorch draws a number for every element, a fifth of the linear model's step. Here one draw of 64 bits is
    for four, and p is as near as 16 bits come, within 2^-16; one half they have exactly. The generator is PyTorch's.
    """
    if x.device.type != 'cpu':
        return torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)
    draws = torch.empty(-(-x.numel() * _BITS // 64), dtype=torch.int64).random_(-1 << 63, None)
    levels = draws.view(torch.int16)[:x.numel()].view(x.shape)                         # -2^15 to 2^15 - 1
    kept = levels >= min(round(p * (1 << _BITS)), (1 << _BITS) - 1) - (1 << _BITS - 1)
    return kept.to(x.dtype).div_(1 - p)
