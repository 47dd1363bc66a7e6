"""Train for an epoch, evaluate, predict: one of each, for every script and every network.

Deliberate differences from the published code:
- the set lies on the device and an epoch is a permutation (`generators`), in place of worker processes;
- every step's loss stays on the device until it is shown, so that a GPU never waits for a number that is only printed;
- a loss that is not finite stops the run;
- errors are averaged in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.data_utils import Poses
from common.errors import UserError
from common.generators import PoseBatches
from common.loss import mpjpe, p_mpjpe
from models.folded import fold

EVALUATION_BATCH = 512  # activations of a few MB, which stay in a core's cache
METRES_TO_MM = 1000.0
_CHECK_EVERY = 50  # steps between looks at the losses on a device that computes ahead


@dataclass(frozen=True)
class Schedule:
    """The published learning rate: lr * gamma^(step / decay), set at step 1 and at every multiple of `decay`."""

    lr: float = 1e-3
    decay: int = 100_000
    gamma: float = 0.96

    def at(self, step: int) -> float | None:
        """The rate to set before `step` (counted from 1); None where it stays as it is."""
        if step == 1 or step % self.decay == 0:
            return self.lr * self.gamma ** (step / self.decay)
        return None


def make_optimizer(model: nn.Module, lr: float = 1e-3) -> torch.optim.Adam:
    """Adam as published, in one fused pass over the parameters."""
    return torch.optim.Adam(model.parameters(), lr=lr, fused=True)


def train_one_epoch(model: nn.Module, batches: PoseBatches, optimizer: torch.optim.Optimizer, schedule: Schedule,
                    step: int, max_norm: float | None, report: Callable[[int, float], None]) -> tuple[float, int]:
    """Take one pass over the training poses.

    Args:
        step: steps taken before.
        max_norm: the gradient's norm is clipped to it; None leaves it.
        report: called now and then with (poses so far, mean loss so far).
    Returns:
        mean loss over the epoch's poses (m^2), and steps taken.
    Raises:
        UserError: the loss is not finite.
    """
    model.train()
    joints: slice = model.loss_joints  # type: ignore[assignment]
    loss_sum: Tensor | float = 0.0
    seen = 0
    for index, (keypoints, positions) in enumerate(batches):
        step += 1
        rate = schedule.at(step)
        if rate is not None:
            for group in optimizer.param_groups:
                group['lr'] = rate
        loss = F.mse_loss(model(keypoints)[:, joints], positions[:, joints])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        seen += len(keypoints)
        loss_sum = loss_sum + loss.detach().double() * len(keypoints)
        if loss.device.type == 'cpu' or index % _CHECK_EVERY == 0 or index + 1 == len(batches):
            mean = float(loss_sum) / seen
            if mean - mean != 0:
                raise UserError(f'the loss is not finite at step {step}, learning rate {learning_rate(optimizer):.2e}: '
                                f'try a lower --lr; the last checkpoint is untouched.')
            report(seen, mean)
    return float(loss_sum) / seen, step


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]['lr'])


@torch.inference_mode()
def predict(model: nn.Module, keypoints: Tensor, batch_size: int = EVALUATION_BATCH,
            report: Callable[[int], None] | None = None) -> Tensor:
    """Lift poses, relative to the hip.

    Args:
        keypoints: (N, J, 2) normalised image coordinates, on the model's device.
        report: called with the number of poses done.
    Returns:
        (N, J, 3) metres in camera axes (x right, y down, z forward), the hip at the origin.
    """
    folded = fold(model.eval())
    positions = []
    for start in range(0, len(keypoints), batch_size):
        predicted = folded(keypoints[start:start + batch_size])
        positions.append(predicted - predicted[:, :1])
        if report:
            report(min(start + batch_size, len(keypoints)))
    return torch.cat(positions)


@dataclass(frozen=True)
class ActionError:
    """Mean errors of one kind of action, mm; `mean_pose` is that of answering the mean training pose (P1)."""

    kind: str
    poses: int
    mpjpe: float
    p_mpjpe: float
    mean_pose: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Errors of a test set, mm.

    Attributes:
        actions: kind by kind.
        pose_mpjpe, pose_p_mpjpe: means over all poses, as the published training loop logs.
    """

    actions: list[ActionError]
    pose_mpjpe: float
    pose_p_mpjpe: float

    @property
    def mpjpe(self) -> float:
        """Protocol 1: the plain mean over the kinds of action."""
        return _mean(action.mpjpe for action in self.actions)

    @property
    def p_mpjpe(self) -> float:
        """Protocol 2: the plain mean over the kinds of action."""
        return _mean(action.p_mpjpe for action in self.actions)

    @property
    def mean_pose(self) -> float | None:
        baseline = [action.mean_pose for action in self.actions if action.mean_pose is not None]
        return _mean(baseline) if baseline else None


def evaluate(model: nn.Module, poses: Poses, mean_pose: Tensor | None = None,
             report: Callable[[int], None] | None = None) -> Evaluation:
    """Score a network on a test set.

    Args:
        poses: on the model's device.
        mean_pose: (J, 3) the mean training pose, to print its error beside the network's.
        report: called with the number of poses done.
    """
    predicted = predict(model, poses.keypoints, report=report)
    errors = [pose_errors(predicted, poses.positions, mpjpe), pose_errors(predicted, poses.positions, p_mpjpe)]
    if mean_pose is not None:
        errors.append(pose_errors(mean_pose.expand_as(predicted), poses.positions, mpjpe))
    kinds = poses.kinds.cpu()
    counts = torch.bincount(kinds, minlength=len(poses.kind_names))
    sums = [torch.bincount(kinds, error, minlength=len(poses.kind_names)) for error in errors]
    actions = [ActionError(kind, int(count), *((total[index] / count).item() for total in sums))
               for index, (kind, count) in enumerate(zip(poses.kind_names, counts, strict=True)) if count]
    return Evaluation(actions, errors[0].mean().item(), errors[1].mean().item())


def pose_errors(predicted: Tensor, target: Tensor, metric: Callable[[Tensor, Tensor], Tensor],
                chunk: int = 1 << 16) -> Tensor:
    """A metric of `common.loss` in mm, pose by pose, in float64 on the CPU; by chunks, so that memory stays flat."""
    errors = []
    for start in range(0, len(predicted), chunk):
        pair = (tensor[start:start + chunk] for tensor in (predicted, target))
        errors.append(metric(*(tensor.cpu().double() for tensor in pair)))
    return torch.cat(errors) * METRES_TO_MM


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
