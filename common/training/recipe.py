"""How a network is trained: the hyper-parameters, and what they mean as schedule, loss and optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common.training.optimizer import PackedAdam

SCHEDULES = ('published', 'linear', 'cosine')
OPTIMIZERS = ('adam', 'adamw')


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training: as the flags of the same names. They are kept in the checkpoint."""

    epochs: int
    snapshot: int
    batch_size: int = 64
    lr: float = 1e-3
    lr_decay: int = 100_000
    lr_gamma: float = 0.96
    max_norm: bool = True
    seed: int = 0
    schedule: str = 'published'
    warmup_steps: int = 0
    optimizer: str = 'adam'
    weight_decay: float = 0.0
    loss: str = 'mse'
    bn_momentum: float = 0.1
    ema: float = 0.0
    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    noise: float = 0.0
    tta: str = 'off'
    amp: str = 'off'
    tf32: bool = False
    compile: bool = False


# What `--recipe NAME` changes of the flags' defaults, for each architecture; docs/accuracy.md has the measurements.
_TUNED = {'lr': 2e-2, 'schedule': 'cosine', 'warmup_steps': 200, 'ema': 0.999}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    'published': {'gcn': {}, 'linear': {}},
    'tuned': {'gcn': {**_TUNED, 'loss': 'mpjpe'}, 'linear': _TUNED},
}


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    'published' is lr * gamma^(step / decay), set at step 1 and at every multiple of `decay`, and kept between; 'linear'
    and 'cosine' (Loshchilov and Hutter, ICLR 2017, without restarts) fall from lr to nothing at step `total`.

    Attributes:
        warmup: steps over which the rate rises linearly to what it would be.
    """

    lr: float = 1e-3
    decay: int = 100_000
    gamma: float = 0.96
    kind: str = 'published'
    warmup: int = 0
    total: int = 0

    def at(self, step: int) -> float:
        """The rate of a step, counted from 1."""
        if self.kind == 'published':
            rate = self.lr * self.gamma ** (max(step // self.decay * self.decay, 1) / self.decay)
        else:
            left = max(1 - (step - 1) / self.total, 0.0)
            rate = self.lr * (left if self.kind == 'linear' else (1 - math.cos(math.pi * left)) / 2)
        return rate * min(step / self.warmup, 1.0) if self.warmup else rate


def make_optimizer(model: nn.Module, recipe: Recipe) -> PackedAdam:
    """Adam as published, or AdamW, in one fused pass over the parameters.

    On CUDA the learning rate is a tensor, so that a captured step sees it change.
    """
    parameters = list(model.parameters())
    lr = torch.tensor(recipe.lr, device=parameters[0].device) if parameters[0].is_cuda else recipe.lr
    return PackedAdam(parameters, lr, recipe.weight_decay, decoupled=recipe.optimizer == 'adamw')


def learning_rate(optimizer: torch.optim.Optimizer | PackedAdam) -> float:
    return float(optimizer.param_groups[0]['lr'])


def optimizer_state(optimizer: torch.optim.Optimizer | PackedAdam) -> dict[str, Any]:
    """Its state dict, the learning rate a number even where it works as a tensor."""
    state = optimizer.state_dict()
    for group in state['param_groups']:
        group['lr'] = float(group['lr'])
    return state


def set_learning_rate(optimizer: torch.optim.Optimizer | PackedAdam, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group['lr'], Tensor):
            group['lr'].fill_(rate)
        else:
            group['lr'] = rate
