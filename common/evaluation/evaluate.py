"""The errors of a network on a test set, action by action. Errors are averaged in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common import distributed
from common.datasets.poses import Poses
from common.evaluation.metrics import mpjpe, p_mpjpe
from common.geometry.mirror import Mirror
from common.inference import CPU_PART, batch_size_of, lift
from common.threads import over_parts
from models.folded import fold

METRES_TO_MM = 1000.0


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
    batch_size = batch_size_of(folded, keypoints.device)

    def score(part: slice) -> Tensor:
        target = positions[part]
        predicted = torch.empty_like(target)
        lift(folded, keypoints[part], predicted, batch_size, mirror)
        errors = [pose_errors(predicted, target, metric) for metric in (mpjpe, p_mpjpe)]
        if mean_pose is not None:
            errors.append(pose_errors(mean_pose.expand_as(predicted), target, mpjpe))
        return torch.stack([torch.bincount(kinds[part], error, minlength=len(names)) for error in errors])

    sums = torch.zeros(2 if mean_pose is None else 3, len(names), dtype=torch.float64)
    for done, some in over_parts(score, len(keypoints), max(batch_size, CPU_PART), keypoints.device):
        sums += some
        if report:
            report(done)
    sums, counts = distributed.total(sums), torch.bincount(poses.kinds.cpu(), minlength=len(names))
    actions = [ActionError(kind, int(count), *((total[index] / count).item() for total in sums))
               for index, (kind, count) in enumerate(zip(names, counts, strict=True)) if count]
    return Evaluation(actions, *(sums[:2].sum(1) / len(poses)).tolist())


def pose_errors(predicted: Tensor, target: Tensor, metric: Callable[[Tensor, Tensor], Tensor],
                chunk: int = 1 << 11) -> Tensor:
    """A metric of `metrics` in mm, pose by pose, (N,) on the CPU; by chunks, so that memory stays flat.

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
