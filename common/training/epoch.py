"""One epoch of training.

Deliberate differences from the published code:
- the training set is on the device and an epoch is a permutation (`datasets.batches`), without worker processes;
- losses stay on a GPU until 50 of them are read together, so that it does not wait for numbers that are only printed;
- a loss or a gradient that is not finite stops the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from common.datasets.batches import PoseBatches
from common.errors import UserError
from common.training.recipe import Schedule
from common.training.step import TrainingStep

_READ_EVERY = 50  # steps after which the losses are read, on a device that computes ahead


@dataclass
class Counters:
    """Training progress: completed epochs and steps; within the current epoch, poses seen and their summed loss."""

    epoch: int = 0
    step: int = 0
    seen: int = 0
    loss_sum: float = 0.0

    @property
    def loss(self) -> float:
        """Mean loss of the epoch's poses so far."""
        return self.loss_sum / max(self.seen, 1)

    def next_epoch(self) -> None:
        self.epoch, self.seen, self.loss_sum = self.epoch + 1, 0, 0.0


def train_epoch(step: TrainingStep, batches: PoseBatches, schedule: Schedule, counters: Counters) -> Iterator[None]:
    """Take the remaining steps of an epoch and count them.

    It yields between two steps, whenever the losses have been read and `counters` are up to date: after every step on a
    CPU, after every 50 on a device that computes ahead.

    Raises:
        UserError: the loss or the gradient is not finite.
    """
    step.model.train()
    unread: list[tuple[int, Tensor]] = []
    rate = None
    for batch in batches.epoch(counters.seen):
        counters.step += 1
        if rate != (rate := schedule.at(counters.step)):
            step.optimizer.learning_rate = rate
        unread.append((len(batch), step(batch)))
        if batch.device.type == 'cpu' or len(unread) == _READ_EVERY:
            _read(unread, counters, rate)
            yield
    step.optimizer.zero_grad()  # frees memory for the evaluation that follows, with its copy of the weights
    if unread:
        _read(unread, counters, rate)
        yield


def _read(unread: list[tuple[int, Tensor]], counters: Counters, rate: float | None) -> None:
    """Count the steps whose losses and gradient norms are still on the device."""
    counts, results = zip(*unread, strict=True)
    for index, (loss, norm) in enumerate(torch.stack(results).tolist()):
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = 'gradient' if math.isfinite(loss) else 'loss'
            step = counters.step - len(unread) + index + 1
            raise UserError(f'the {what} is not finite at step {step}, learning rate {rate:.2e}: try a lower --lr; the '
                            f'last checkpoint is untouched.')
        counters.seen += counts[index]
        counters.loss_sum += loss * counts[index]
    unread.clear()
