"""One training step: gather, forward, backward, clip, optimizer, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common import distributed
from common.evaluation.metrics import LOSSES
from common.training.optimizer import FusedAdam
from common.training.recipe import Recipe

MAX_NORM = 1.0  # of the gradient, as published


class TrainingStep:
    """Takes the steps of a recipe.

    Args:
        model: on the device of the samples.
        recipe: gives the optimizer, loss, clipping, momentum of batch norm, moving average and precision.
        samples: numbers of poses (B,) -> keypoints (B, J, 2), positions (B, J, 3).
    """

    def __init__(self, model: nn.Module, recipe: Recipe, samples: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        self.model, self.recipe, self.samples = model, recipe, samples
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = recipe.bn_momentum
        device = next(model.parameters()).device
        lr = torch.tensor(recipe.lr, device=device) if device.type == 'cuda' else recipe.lr  # for `cuda_graph`
        self.optimizer = FusedAdam(model.parameters(), lr, recipe.weight_decay, recipe.optimizer)
        network = distributed.parallel(model)
        self.network = torch.compile(network) if recipe.compile else network
        if recipe.tf32:
            torch.backends.cuda.matmul.allow_tf32 = True
        self.max_norm = MAX_NORM if recipe.max_norm else math.inf
        self.loss = LOSSES[recipe.loss]
        self.joints: slice = model.loss_joints  # type: ignore[assignment]
        self.average = MovingAverage(model, recipe.ema) if recipe.ema else None

    def __call__(self, batch: Tensor) -> Tensor:
        """Train on the poses with these numbers, (B,); each of several processes takes its shard.

        Returns:
            (2,) the mean loss of the batch and the norm of its gradient, on the device.
        """
        result = self.take(batch)
        if self.average:
            self.average.update()
        return result

    def take(self, batch: Tensor) -> Tensor:
        """The step without the moving average. A CUDA graph cannot hold the average, whose decay changes."""
        shard = distributed.shard(batch)
        keypoints, positions = self.samples(shard)
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.recipe.amp == 'bf16'):
            predicted = self.network(keypoints)
        loss = self.loss(predicted[:, self.joints].to(positions.dtype), positions[:, self.joints])
        if distributed.size() > 1:  # the mean over the batch, though shards differ in size; gradients are averaged
            loss = loss.nan_to_num() if not len(shard) else loss
            loss = loss * (len(shard) * distributed.size() / len(batch))
        self.optimizer.zero_grad()
        loss.backward()
        norm = self.optimizer.step(self.max_norm)
        return torch.stack([distributed.total(loss.detach() / distributed.size()), norm])


class MovingAverage:
    """The exponential moving average of a network's weights and of its batch norm statistics.

    After n updates the decay is at most (1 + n) / (10 + n), so that the first weights lose their influence soon.

    Args:
        model: the network that is averaged.
        decay: share of the average that an update keeps.
    Attributes:
        model: a network with the averaged weights.
        updates: the number of updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._averages, self._weights = ([value for value in network.state_dict().values() if value.is_floating_point()]
                                         for network in (self.model, model))

    @torch.no_grad()
    def update(self) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
        self.updates += 1

    def load(self, state: dict[str, Tensor], updates: int) -> None:
        self.model.load_state_dict(state)
        self.updates = updates
