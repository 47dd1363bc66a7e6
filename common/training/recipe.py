"""How a network is trained: hyper-parameters, named sets of them, and the schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass
from typing import Any

import torch

from common.argument_types import angle, non_negative_float, non_negative_int, positive_float, positive_int, probability
from common.argument_types import share as positive_share
from common.datasets.virtual.samples import VirtualCameras
from common.evaluation.metrics import LOSSES
from common.flags import flag

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {'adam': torch.optim.Adam, 'adamw': torch.optim.AdamW}


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training, named as their flags. The checkpoint keeps them.

    Attributes:
        virtual: the random changes of samples by virtual cameras; None without `--virtual`.
    """

    epochs: int = flag(MISSING, 'epochs in all', short='-e', type=positive_int, metavar='N')
    snapshot: int = flag(MISSING, 'keep the checkpoint of every Nth epoch', type=positive_int, metavar='N', more=True)
    batch_size: int = flag(64, 'poses a step', short='-b', type=positive_int, metavar='N')
    lr: float = flag(1e-3, 'learning rate', type=positive_float, metavar='F')
    lr_decay: int = flag(100_000, 'steps after which the learning rate changes', type=positive_int, metavar='N',
                         more=True)
    lr_gamma: float = flag(0.96, 'the learning rate is lr * F^(step / lr_decay)', type=positive_float, metavar='F',
                           more=True)
    max_norm: bool = flag(True, 'do not clip the norm of the gradient to 1', names=['--no_max'], more=True)
    seed: int = flag(0, 'seed of every random choice', metavar='N', more=True)
    schedule: str = flag('published', 'schedule of the learning rate; linear and cosine fall to zero in the last step',
                         choices=['published', 'linear', 'cosine'], more=True)
    warmup_steps: int = flag(0, 'steps in which the learning rate rises from zero', type=non_negative_int, metavar='N',
                             more=True)
    optimizer: str = flag('adam', 'optimizer', choices=list(OPTIMIZERS), more=True)
    weight_decay: float = flag(0.0, 'weight decay of the optimizer', type=non_negative_float, metavar='F', more=True)
    loss: str = flag('mse', 'mean squared error, mean distance of joints, the same also after similarity alignment, '
                            'mean absolute error, the same squared below 5 cm, or squared errors of joints and of '
                            'bones as in the paper',
                     choices=list(LOSSES), more=True)
    joint_weights: str = flag('', 'weights of joints in the loss, like LWrist=2,RWrist=2; the others weigh 1',
                              metavar='NAME=F,...', more=True)
    bn_momentum: float = flag(0.1, 'share of a batch in the running statistics of batch norm', type=positive_share,
                              metavar='F', more=True)
    ema: float = flag(0.0, 'evaluate the exponential moving average of the weights, e.g. 0.999; 0: none',
                      type=probability, metavar='DECAY', more=True)
    flip: bool = flag(False, 'mirror half of the samples')
    rotate: float = flag(0.0, 'turn each sample by up to this angle about the vertical and re-project it', type=angle,
                         metavar='DEG', more=True)
    scale: float = flag(0.0, 'make each body larger or smaller by up to this share and re-project it', type=probability,
                        metavar='F', more=True)
    noise: float = flag(0.0, 'standard deviation of noise on the keypoints; the image is 2 wide',
                        type=non_negative_float, metavar='F', more=True)
    tta: str = flag('off', 'flip: average the predictions for each pose and its mirror image', choices=['off', 'flip'],
                    more=True)
    amp: str = flag('off', 'bf16: multiply matrices in bfloat16', choices=['off', 'bf16'], more=True)
    compile: bool = flag(False, 'train through torch.compile', more=True)
    virtual: VirtualCameras | None = None

    def as_dict(self) -> dict[str, Any]:
        """{flag: value}, for the checkpoint."""
        amounts = asdict(self.virtual or VirtualCameras())
        return {**{name: value for name, value in amounts.items() if name not in ('flip', 'layout')}, **asdict(self),
                'virtual': self.virtual is not None}


# Defaults of flags that `--recipe NAME` sets, for each architecture. They were measured in docs/accuracy.md and, for
# wild, in docs/measurements/wild.md.
_TUNED = {'lr': 1e-2, 'schedule': 'cosine', 'warmup_steps': 200, 'ema': 0.999, 'loss': 'mpjpe', 'unit': 0.03}
_WILD = {'virtual': True, 'window': 5, 'novelty': 1.0, 'limbs': 0.3, 'bones': 0.08, 'turn': 0.4, 'pitch': 20.0,
         'extreme_views': 0.1, 'detector_noise': 0.03, 'detector_faults': 0.15, 'hide': 0.35, 'repeat': 0.2,
         'rates': 0.25, 'flip': True, 'batch_size': 128, 'lr': 5e-3, 'schedule': 'cosine', 'warmup_steps': 200,
         'ema': 0.999, 'bn_momentum': 0.05, 'loss': 'mpjpe_aligned', 'unit': 0.03}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    'published': {'gcn': {}, 'linear': {}},
    'tuned': {'gcn': _TUNED, 'linear': {**_TUNED, 'lr': 5e-3}},
    'wild': {'gcn': {**_WILD, 'non_local': True}, 'linear': {**_WILD, 'dropout': 0.0}},
}


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    Attributes:
        lr: the highest rate.
        decay, gamma: parameters of the published schedule.
        kind: 'published', 'linear' or 'cosine'.
        warmup: number of steps in which the rate rises linearly from zero.
        total: number of steps of the run, after which the linear and cosine schedules reach zero.
    """

    lr: float = 1e-3
    decay: int = 100_000
    gamma: float = 0.96
    kind: str = 'published'
    warmup: int = 0
    total: int = 0

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> Schedule:
        """The schedule of a recipe, with so many steps in an epoch."""
        return cls(recipe.lr, recipe.lr_decay, recipe.lr_gamma, recipe.schedule, recipe.warmup_steps,
                   recipe.epochs * steps)

    def at(self, step: int) -> float:
        """The rate of a step, counted from 1."""
        left = max(1 - (step - 1) / self.total, 0.0) if self.total else 1.0  # 1 at the first step, 0 after the last
        if self.kind == 'published':  # set at step 1 and at every multiple of `decay`, constant in between
            rate = self.lr * self.gamma ** (max(step // self.decay * self.decay, 1) / self.decay)
        elif self.kind == 'linear':
            rate = self.lr * left
        else:  # half a cosine from 1 to 0 (Loshchilov and Hutter, ICLR 2017, without restarts)
            rate = self.lr * ((1 - math.cos(math.pi * left)) / 2)
        return rate * min(step / self.warmup, 1.0) if self.warmup else rate
