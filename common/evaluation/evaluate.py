"""The errors of a network on a test set, by action. Errors are averaged in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from common import distributed
from common.datasets.poses import Poses
from common.evaluation.metrics import mpjpe, p_mpjpe
from common.geometry.mirror import Mirror
from common.inference import Predictor
from common.threads import map_over_threads

METRES_TO_MM = 1000.0


@dataclass(frozen=True)
class ActionError:
    """Mean errors of one kind of action, mm; `mean_pose` is the P1 of predicting the mean training pose for all."""

    kind: str
    poses: int
    mpjpe: float
    p_mpjpe: float
    mean_pose: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Errors of a test set, mm.

    Attributes:
        actions: of each kind of action, in the order of tables.
        pose_mpjpe, pose_p_mpjpe: means over all poses, as the published training loop logs.
    """

    actions: list[ActionError]
    pose_mpjpe: float
    pose_p_mpjpe: float

    @property
    def mpjpe(self) -> float:
        """Protocol 1: the plain mean over the kinds of action."""
        return fmean(action.mpjpe for action in self.actions)

    @property
    def p_mpjpe(self) -> float:
        """Protocol 2: the plain mean over the kinds of action."""
        return fmean(action.p_mpjpe for action in self.actions)

    @property
    def mean_pose(self) -> float | None:
        """Protocol 1 of predicting the mean training pose for all."""
        errors = [action.mean_pose for action in self.actions if action.mean_pose is not None]
        return fmean(errors) if errors else None


def evaluate(model: nn.Module, poses: Poses, mean_pose: Tensor | None = None,
             report: Callable[[int], None] | None = None, mirror: Mirror | None = None) -> Evaluation:
    """Score a network on a test set. Several processes share the poses; each gets the whole result.

    Args:
        model: any network (B, J, 2) -> (B, J, 3).
        poses: on the model's device.
        mean_pose: (J, 3) the mean training pose, whose error stands beside the network's.
        report: called with the number of poses done.
        mirror: as of `Predictor`.
    """
    mine = distributed.part(len(poses))
    keypoints, positions, kinds = poses.keypoints[mine], poses.positions[mine], poses.kinds[mine].cpu()
    predictor, names = Predictor(model, keypoints.device, mirror=mirror), poses.kind_names

    def score(part: slice) -> Tensor:
        """Summed errors of a slice of the poses, (metrics, kinds of action)."""
        predicted, target = predictor(keypoints[part]), positions[part]
        errors = [pose_errors(predicted, target, metric) for metric in (mpjpe, p_mpjpe)]
        if mean_pose is not None:
            errors.append(pose_errors(mean_pose.expand_as(predicted), target, mpjpe))
        return torch.stack([torch.bincount(kinds[part], error, minlength=len(names)) for error in errors])

    sums = torch.zeros(2 if mean_pose is None else 3, len(names), dtype=torch.float64)
    for done, part_sums in map_over_threads(score, len(keypoints), predictor.slice_size, keypoints.device):
        sums += part_sums
        if report:
            report(done)
    sums, counts = distributed.total(sums), torch.bincount(poses.kinds.cpu(), minlength=len(names))
    actions = [ActionError(kind, int(count), *((total[index] / count).item() for total in sums))
               for index, (kind, count) in enumerate(zip(names, counts, strict=True)) if count]
    return Evaluation(actions, *(sums[:2].sum(1) / len(poses)).tolist())


def pose_errors(predicted: Tensor, target: Tensor, metric: Callable[[Tensor, Tensor], Tensor],
                chunk: int = 1 << 11) -> Tensor:
    """A metric of poses (N, J, 3) in metres: (N,) mm, on the CPU.

    It is computed in float64, on CUDA where the poses are there and otherwise on the CPU, for other devices have no
    float64; chunk by chunk, so that memory stays flat.
    """
    errors = []
    for start in range(0, len(predicted), chunk):
        pair = (tensor[start:start + chunk] for tensor in (predicted, target))
        errors.append(metric(*((tensor if tensor.is_cuda else tensor.cpu()).double() for tensor in pair)))
    return torch.cat(errors).cpu() * METRES_TO_MM
