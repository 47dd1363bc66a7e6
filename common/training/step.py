"""One training step: gather, forward, backward, clip, optimiser, and the moving average of the weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from common import distributed
from common.evaluation.metrics import LOSSES
from common.training.augmentation import Samples
from common.training.recipe import Recipe, make_optimizer

MAX_NORM = 1.0  # of the gradient, as published


class TrainingStep:
    """Takes one step of a recipe.

    Args:
        model: on the device of the samples.
        recipe: its optimizer, loss, clipping, batch norm's momentum, moving average and precision.
        samples: numbers of poses (B,) -> keypoints (B, J, 2), positions (B, J, 3).
    """

    def __init__(self, model: nn.Module, recipe: Recipe, samples: Samples) -> None:
        self.model, self.recipe, self.samples = model, recipe, samples
        self.optimizer = make_optimizer(model, recipe)  # before anything else looks at where parameters lie
        network = distributed.parallel(model)
        self.network = torch.compile(network) if recipe.compile else network
        if recipe.tf32:
            torch.backends.cuda.matmul.allow_tf32 = True
        self.max_norm = MAX_NORM if recipe.max_norm else math.inf
        self.loss = LOSSES[recipe.loss]
        self.joints: slice = model.loss_joints  # type: ignore[assignment]
        self.average = MovingAverage(model, recipe.ema) if recipe.ema else None
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = recipe.bn_momentum

    def __call__(self, batch: Tensor) -> Tensor:
        """Train on the poses with these numbers, (B,); of several processes each takes its share.

        Returns:
            (2,) the mean loss of the batch and the norm of its gradient, on the device.
        """
        result = self.take(batch)
        if self.average:
            self.average.update()
        return result

    def take(self, batch: Tensor) -> Tensor:
        """The step without the moving average, which changes from step to step."""
        mine = distributed.share(batch)
        keypoints, positions = self.samples(mine)
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.recipe.amp == 'bf16'):
            predicted = self.network(keypoints)
        loss = self.loss(predicted[:, self.joints].to(positions.dtype), positions[:, self.joints])
        if distributed.size() > 1:  # the mean over the batch, whatever the processes' shares; gradients are averaged
            loss = loss.nan_to_num() if not len(mine) else loss
            loss = loss * (len(mine) * distributed.size() / len(batch))
        self.optimizer.zero_grad()
        loss.backward()
        norm = self.optimizer.step(self.max_norm)
        return torch.stack([distributed.total(loss.detach() / distributed.size()), norm])


class CapturedStep(TrainingStep):
    """A step replayed as a CUDA graph: at 64 poses a GPU waits for launches, and a replay is a single one.

    The first steps are taken as they are, on a stream of their own as capturing wants it; then one is captured, and
    from then on every step of the same size is a replay of it. Learning rate and random numbers live on the device, so
    they change between replays. A batch of another size, the last of an epoch, is taken as it is.
    """

    WARM_UP = 11

    def __init__(self, model: nn.Module, recipe: Recipe, samples: Samples) -> None:
        super().__init__(model, recipe, samples)
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def take(self, batch: Tensor) -> Tensor:
        if len(batch) != self.recipe.batch_size:
            return super().take(batch)
        self.taken += 1
        if self.taken <= self.WARM_UP:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                result = super().take(batch)
            torch.cuda.current_stream().wait_stream(stream)
            return result
        if self.graph is None:
            self.batch, self.graph = batch.clone(), torch.cuda.CUDAGraph()
            self.optimizer.zero_grad()
            with torch.cuda.graph(self.graph):
                self.result = super().take(self.batch)
        self.batch.copy_(batch)
        self.graph.replay()
        return self.result.clone()


class MovingAverage:
    """The exponential moving average of a network's weights, its batch norms' statistics included.

    While the average is young its decay is (1 + n) / (10 + n) after n updates, so that the first weights are forgotten.

    Args:
        model: what is followed.
        decay: share of the average that an update keeps.

    Attributes:
        model: a network with the averaged weights.
        updates: how many there were.
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


def make_step(model: nn.Module, recipe: Recipe, samples: Samples) -> TrainingStep:
    """The fastest way to take a recipe's steps where the model is; processes that exchange gradients, and compiled
    networks, which make graphs of their own, take plain steps."""
    plain = not next(model.parameters()).is_cuda or distributed.size() > 1 or recipe.compile
    return (TrainingStep if plain else CapturedStep)(model, recipe, samples)
