"""Training steps replayed as a CUDA graph (`--cuda_graph`): off by default, because no GPU was available to test it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common import distributed
from common.errors import warn
from common.training.recipe import Recipe
from common.training.step import TrainingStep


class CapturedStep(TrainingStep):
    """A step replayed as a CUDA graph: at 64 poses a GPU waits for launches, and a replay is a single one.

    The first steps are ordinary steps on a separate stream, as capturing requires. Then one step is captured, and every
    later step of the same size replays it. Learning rate and random numbers are on the device, so they change between
    replays. A batch of another size, the last of an epoch, is an ordinary step.
    """

    WARM_UP = 11

    def __init__(self, model: nn.Module, recipe: Recipe, samples: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
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


def make_step(model: nn.Module, recipe: Recipe, samples: Callable[[Tensor], tuple[Tensor, Tensor]]) -> TrainingStep:
    """The step of a recipe. A CUDA graph needs one CUDA device and one process, and excludes `--compile`."""
    if recipe.cuda_graph:
        if next(model.parameters()).is_cuda and distributed.size() == 1 and not recipe.compile:
            return CapturedStep(model, recipe, samples)
        warn('--cuda_graph needs a single CUDA device and no --compile: steps are taken without it.')
    return TrainingStep(model, recipe, samples)
