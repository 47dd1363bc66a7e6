"""How a network is trained: hyper-parameters, named sets of them, and the schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training, named as their flags. The checkpoint keeps them."""

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
    virtual: bool = False
    bones: float = 0.0
    turn: float = 0.0
    pitch: float = 15.0
    detector_noise: float = 0.0
    hide: float = 0.0
    repeat: float = 0.0
    amp: str = 'off'
    tf32: bool = False
    compile: bool = False
    cuda_graph: bool = False


# Defaults of flags that `--recipe NAME` sets, for each architecture. They were measured in docs/accuracy.md and, for
# wild, in docs/measurements/wild.md.
_TUNED = {'lr': 2e-2, 'schedule': 'cosine', 'warmup_steps': 200, 'ema': 0.999}
_WILD = {'virtual': True, 'window': 5, 'bones': 0.12, 'turn': 0.4, 'pitch': 20.0, 'detector_noise': 0.03, 'hide': 0.35,
         'repeat': 0.25, 'flip': True, 'batch_size': 128, 'lr': 5e-3, 'schedule': 'cosine', 'warmup_steps': 200,
         'ema': 0.999, 'bn_momentum': 0.05, 'loss': 'mpjpe', 'unit': 0.03}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    'published': {'gcn': {}, 'linear': {}},
    'tuned': {'gcn': {**_TUNED, 'loss': 'mpjpe'}, 'linear': _TUNED},
    'wild': {'gcn': {**_WILD, 'non_local': True}, 'linear': {**_WILD, 'dropout': 0.0}},
}


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    Attributes:
        lr: the highest rate.
        decay, gamma: parameters of the published schedule.
        kind: a name in `SCHEDULES`.
        warmup: number of steps in which the rate rises linearly from zero.
        total: number of steps of the run, after which the linear and cosine schedules reach zero.
    """

    lr: float = 1e-3
    decay: int = 100_000
    gamma: float = 0.96
    kind: str = 'published'
    warmup: int = 0
    total: int = 0

    def at(self, step: int) -> float:
        """The rate of a step, counted from 1."""
        rate = self.lr * SCHEDULES[self.kind](self, step)
        return rate * min(step / self.warmup, 1.0) if self.warmup else rate

    def published(self, step: int) -> float:
        """gamma^(step / decay), set at step 1 and at every multiple of `decay`, constant in between."""
        return self.gamma ** (max(step // self.decay * self.decay, 1) / self.decay)

    def linear(self, step: int) -> float:
        """A straight line from 1 at the first step to 0 after the last."""
        return max(1 - (step - 1) / self.total, 0.0)

    def cosine(self, step: int) -> float:
        """Half a cosine from 1 to 0 (Loshchilov and Hutter, ICLR 2017, without restarts)."""
        return (1 - math.cos(math.pi * self.linear(step))) / 2


# The factor of the rate at a step, counted from 1.
SCHEDULES: dict[str, Callable[[Schedule, int], float]] = {
    'published': Schedule.published, 'linear': Schedule.linear, 'cosine': Schedule.cosine}
