"""Train for an epoch, evaluate, predict: one of each, for every script and every network.

Deliberate differences from the published code:
- the set lies on the device and an epoch is a permutation (`generators`), in place of worker processes;
- losses stay on a GPU until 50 of them are read at once, so that it never waits for a number that is only printed;
- a loss or a gradient that is not finite stops the run;
- errors are averaged in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common import distributed
from common.augmentation import Mirror
from common.data_utils import Poses
from common.errors import UserError
from common.generators import PoseBatches
from common.loss import mpjpe, p_mpjpe
from common.parallel import over_parts
from common.recipe import Schedule, set_learning_rate
from common.step import TrainingStep
from models.folded import fold

_GPU_BATCH, _CPU_BATCH = 8192, 256  # poses at a time; on a CPU a folded network says
_CPU_PART = 1 << 11  # poses that a thread predicts before it takes their errors: memory stays flat
METRES_TO_MM = 1000.0
_READ_EVERY = 50  # steps between looks at the losses on a device that computes ahead


@dataclass
class Counters:
    """How far a run has come: epochs and steps done; of the epoch under way, poses seen and the sum of their losses."""

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
    """Take the steps that an epoch has left, and count them.

    It hands over between two steps, whenever the losses have been looked at and `counters` are true: after every step
    on a CPU, after every 50 on a device that computes ahead.

    Raises:
        UserError: the loss or the gradient is not finite.
    """
    step.model.train()
    unread: list[tuple[int, Tensor]] = []
    rate = None
    for batch in batches.epoch(counters.seen):
        counters.step += 1
        if rate != (rate := schedule.at(counters.step)):
            set_learning_rate(step.optimizer, rate)
        unread.append((len(batch), step(batch)))
        if batch.device.type == 'cpu' or len(unread) == _READ_EVERY:
            _read(unread, counters, rate)
            yield
    step.optimizer.zero_grad()  # an evaluation follows, and its folded copy of the weights takes as much as they
    if unread:
        _read(unread, counters, rate)
        yield


def _read(unread: list[tuple[int, Tensor]], counters: Counters, rate: float | None) -> None:
    """Count the last steps, whose losses and gradients' norms have waited on the device."""
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


def predict(model: nn.Module, keypoints: Tensor, batch_size: int | None = None,
            report: Callable[[int], None] | None = None, mirror: Mirror | None = None) -> Tensor:
    """Lift poses, relative to the hip.

    Args:
        keypoints: (N, J, 2) normalised image coordinates, on the model's device.
        batch_size: poses at a time; None for what suits the device.
        report: called with the number of poses done.
        mirror: makes the answer the mean of that for the pose and of that for its mirror image, mirrored back.
    Returns:
        (N, J, 3) metres in camera axes (x right, y down, z forward), the hip at the origin.
    """
    folded = fold(model.eval())
    size = batch_size or _batch_size(folded, keypoints.device)
    positions = keypoints.new_empty(*keypoints.shape[:2], 3)

    def lift(part: slice) -> None:
        _lift(folded, keypoints[part], positions[part], size, mirror)

    for done, _ in over_parts(lift, len(keypoints), batch_size or max(size, _CPU_PART), keypoints.device):
        if report:
            report(done)
    return positions


@torch.inference_mode()
def _lift(folded: nn.Module, keypoints: Tensor, positions: Tensor, batch_size: int, mirror: Mirror | None) -> None:
    """Lift poses into `positions`."""
    for start in range(0, len(keypoints), batch_size):
        given = keypoints[start:start + batch_size]
        predicted = folded(given)
        if mirror is not None:
            predicted = (predicted + mirror(folded(mirror(given)))) / 2
        torch.sub(predicted, predicted[:, :1], out=positions[start:start + batch_size])


def _batch_size(folded: nn.Module, device: torch.device) -> int:
    return int(getattr(folded, 'CPU_BATCH', _CPU_BATCH)) if device.type == 'cpu' else _GPU_BATCH


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
             report: Callable[[int], None] | None = None, mirror: Mirror | None = None) -> Evaluation:
    """Score a network on a test set. Several processes share the poses; each gets the whole result.

    Args:
        poses: on the model's device.
        mean_pose: (J, 3) the mean training pose, to print its error beside the network's.
        report: called with the number of poses done.
        mirror: as in `predict`.
    """
    mine = distributed.part(len(poses))
    keypoints, positions, kinds = poses.keypoints[mine], poses.positions[mine], poses.kinds[mine].cpu()
    folded, names = fold(model.eval()), poses.kind_names
    batch_size = _batch_size(folded, keypoints.device)

    def score(part: slice) -> Tensor:
        target = positions[part]
        predicted = torch.empty_like(target)
        _lift(folded, keypoints[part], predicted, batch_size, mirror)
        errors = [pose_errors(predicted, target, metric) for metric in (mpjpe, p_mpjpe)]
        if mean_pose is not None:
            errors.append(pose_errors(mean_pose.expand_as(predicted), target, mpjpe))
        return torch.stack([torch.bincount(kinds[part], error, minlength=len(names)) for error in errors])

    sums = torch.zeros(2 if mean_pose is None else 3, len(names), dtype=torch.float64)
    for done, some in over_parts(score, len(keypoints), max(batch_size, _CPU_PART), keypoints.device):
        sums += some
        if report:
            report(done)
    sums, counts = distributed.total(sums), torch.bincount(poses.kinds.cpu(), minlength=len(names))
    actions = [ActionError(kind, int(count), *((total[index] / count).item() for total in sums))
               for index, (kind, count) in enumerate(zip(names, counts, strict=True)) if count]
    return Evaluation(actions, *(sums[:2].sum(1) / len(poses)).tolist())


def pose_errors(predicted: Tensor, target: Tensor, metric: Callable[[Tensor, Tensor], Tensor],
                chunk: int = 1 << 11) -> Tensor:
    """A metric of `common.loss` in mm, pose by pose, (N,) on the CPU; by chunks, so that memory stays flat.

    It is taken in float64, on CUDA where the poses are there; other devices have no float64.
    """
    errors = []
    for start in range(0, len(predicted), chunk):
        pair = (tensor[start:start + chunk] for tensor in (predicted, target))
        errors.append(metric(*((tensor if tensor.is_cuda else tensor.cpu()).double() for tensor in pair)))
    return torch.cat(errors).cpu() * METRES_TO_MM


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
