"""The training loop: `train_epoch` is an epoch, in one function.

Deliberate differences from the published code:
- the training set is on the device and an epoch is a permutation (`datasets.batches`), without worker processes;
- losses stay on a GPU until 50 of them are read together, so that it does not wait for numbers that are only printed;
- a loss or a gradient that is not finite stops the run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common import distributed
from common.datasets.batches import PoseBatches
from common.errors import UserError
from common.geometry import body
from common.geometry.skeleton import Skeleton
from common.training.loss import Loss
from common.training.recipe import OPTIMIZERS, Recipe, Schedule

MAX_NORM = 1.0  # of the gradient, as published
READ_EVERY = 50  # steps after which the losses are read, on a device that computes ahead

Samples = Callable[[Tensor], tuple[Tensor, Tensor]]  # indices (B,) -> keypoints (B, J, 2 W), positions (B, J, 3)


def train_epoch(training: Training, between_steps: Callable[[], None]) -> None:
    """Take the remaining steps of an epoch.

    Args:
        training: what is trained, on what and how.
        between_steps: called whenever the losses have been read and `training.progress` is up to date: after every step
            on a CPU, after every `READ_EVERY` on a device that computes ahead.
    Raises:
        UserError: the loss or the gradient is not finite.
    """
    model, optimizer, recipe, progress = training.model, training.optimizer, training.recipe, training.progress
    max_norm = MAX_NORM if recipe.max_norm else math.inf
    parameters, unread = list(model.parameters()), list[tuple[int, Tensor, Tensor]]()
    model.train()
    for batch in training.batches.epoch(progress.seen):                                # (B,) indices of poses
        shard = distributed.shard(batch)                                               # the part of this process
        keypoints, positions = training.samples(shard)                                 # gathered and augmented
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=recipe.amp == 'bf16'):
            predicted = training.network(keypoints)                                    # (B, J, 3)
        loss = training.loss(predicted, positions)
        loss = distributed.mean_over_shards(loss, len(shard), len(batch))

        progress.step += 1
        optimizer.param_groups[0]['lr'] = training.schedule.at(progress.step)
        optimizer.zero_grad()
        loss.backward()
        norm = clip_gradient(parameters, max_norm)
        optimizer.step()
        if training.average:
            training.average.update()

        unread.append((len(batch), distributed.mean(loss.detach()), norm))
        if batch.device.type == 'cpu' or len(unread) == READ_EVERY:
            progress.count(unread)
            between_steps()
    optimizer.zero_grad()  # frees memory for the evaluation that follows
    if unread:
        progress.count(unread)
        between_steps()


def clip_gradient(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
    """Scale the gradient down to a norm; returns the norm before.

    PyTorch's `clip_grad_norm_`, which multiplies by one, too: a seventh of a step of the linear model on a CPU.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if norm.is_cuda or not norm + 1e-6 <= max_norm:  # a comparison would wait for a GPU
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


class Training:
    """All that a training step uses and changes.

    Args:
        model: the network, on its device.
        recipe: gives the optimizer, loss, clipping, momentum of batch norm, moving average and precision.
        batches: of indices of the training poses.
        samples: the training pairs of a batch.
        skeleton: of the poses.
    Attributes:
        network: the model as it is called: shared by several processes, compiled.
        average: the moving average of the weights; None without one.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, batches: PoseBatches, samples: Samples,
                 skeleton: Skeleton = body.SKELETON) -> None:
        self.model, self.recipe, self.batches, self.samples = model, recipe, batches, samples
        joints: slice = model.loss_joints  # type: ignore[assignment]
        self.loss = Loss(recipe.loss, joints, skeleton, recipe.joint_weights)
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = recipe.bn_momentum
        fused = next(model.parameters()).device.type in ('cpu', 'cuda')
        self.optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), recipe.lr, weight_decay=recipe.weight_decay,
                                                      fused=fused)
        network = distributed.parallel(model)
        self.network = torch.compile(network) if recipe.compile else network
        self.schedule = Schedule.of(recipe, len(batches))
        self.average = MovingAverage(model, recipe.ema) if recipe.ema else None
        self.progress = TrainingProgress()


@dataclass
class TrainingProgress:
    """Training progress: completed epochs and steps; within the current epoch, poses seen and their summed loss."""

    epoch: int = 0
    step: int = 0
    seen: int = 0
    loss_sum: float = 0.0

    @property
    def loss(self) -> float:
        """Mean loss of the epoch's poses so far."""
        return self.loss_sum / max(self.seen, 1)

    def count(self, unread: list[tuple[int, Tensor, Tensor]]) -> None:
        """Count the last steps, and clear the list: the number of poses, loss and gradient norm of each.

        Raises:
            UserError: a loss or a norm is not finite.
        """
        results = torch.stack([torch.stack([loss, norm.to(loss)]) for _, loss, norm in unread]).tolist()
        for index, ((count, _, _), (loss, norm)) in enumerate(zip(unread, results, strict=True)):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(f'the {"gradient" if math.isfinite(loss) else "loss"} is not finite at step '
                                f'{self.step - len(unread) + index + 1}: try a lower --lr; the last checkpoint is '
                                f'untouched.')
            self.seen += count
            self.loss_sum += loss * count
        unread.clear()

    def next_epoch(self) -> None:
        self.epoch, self.seen, self.loss_sum = self.epoch + 1, 0, 0.0


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
