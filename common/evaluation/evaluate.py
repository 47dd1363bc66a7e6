"""The errors of a network on a test set, computed and averaged in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common import distributed
from common.datasets.mocap import kind_of
from common.datasets.poses import Poses
from common.errors import UserError
from common.evaluation.metrics import BY_JOINT, joint_errors
from common.geometry.mirror import Mirror
from common.inference import Predictor
from common.threads import map_over_threads

METRES_TO_MM = 1000.0
VELOCITY, BASELINE = 'velocity_error_mm', 'mean_pose_mpjpe_mm'
PROTOCOLS = ('mpjpe_mm', 'p_mpjpe_mm')
METRICS = (*BY_JOINT, VELOCITY)


class Group(NamedTuple):
    """Poses of one subject, kind of action and camera."""

    subject: str
    action: str
    camera: str


@dataclass(frozen=True)
class Evaluation:
    """Errors of a test set: sums over the poses of each group, joint by joint. Every table is a mean of some sums.

    Attributes:
        groups: G groups of poses.
        sums: {metric: (G, J)}, in mm or percent.
        poses: (G,) number of poses.
        pairs: (G,) number of poses that follow another pose of their sequence; velocity errors are averaged over them.
        pck_joints: the joints over which PCK and AUC are averaged.
    """

    groups: list[Group]
    sums: dict[str, Tensor]
    poses: Tensor
    pairs: Tensor
    pck_joints: list[int]

    def mean(self, groups: Iterable[int] | None = None, joint: int | None = None) -> dict[str, float]:
        """{metric: mean over the poses of some groups (None: of all) and over the joints (None: over all)}."""
        chosen = list(range(len(self.groups)) if groups is None else groups)
        means = {}
        for metric, sums in self.sums.items():
            count = int((self.pairs if metric == VELOCITY else self.poses)[chosen].sum())
            every = self.pck_joints if metric in ('pck_150_percent', 'auc_percent') else range(sums.shape[1])
            joints = list(every) if joint is None else [joint]
            if count and joints:
                means[metric] = (sums[chosen][:, joints].sum() / (count * len(joints))).item()
        return means

    def by(self, attribute: str) -> dict[str, dict[str, float]]:
        """{name: its number of 'poses' and the means of its metrics} by 'subject', 'action' or 'camera'."""
        members: dict[str, list[int]] = {}
        for index, group in enumerate(self.groups):
            members.setdefault(getattr(group, attribute), []).append(index)
        return {name: {'poses': int(self.poses[groups].sum()), **self.mean(groups)}
                for name, groups in members.items()}

    def by_joint(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """{joint: the means of its metrics}."""
        return {name: self.mean(joint=joint) for joint, name in enumerate(names)}

    @property
    def action_average(self) -> dict[str, float]:
        """{metric: the plain mean over the kinds of action}; papers publish these means of `PROTOCOLS`."""
        actions = self.by('action').values()
        return {metric: fmean(action[metric] for action in actions if metric in action)
                for metric in self.sums if any(metric in action for action in actions)}


def evaluate(model: nn.Module, poses: Poses, mean_pose: Tensor | None = None,
             report: Callable[[int], None] | None = None, mirror: Mirror | None = None,
             metrics: Sequence[str] = PROTOCOLS, pck_joints: Sequence[int] = (),
             predictions: Tensor | None = None) -> Evaluation:
    """Evaluate a network on a test set. Several processes share the poses, and each gets the whole result.

    Args:
        model: any network (B, J, 2) -> (B, J, 3).
        poses: on the model's device.
        mean_pose: (J, 3) the mean training pose, whose error is reported beside the network's.
        report: called with the number of poses done.
        mirror: as of `Predictor`.
        metrics: of `METRICS`.
        pck_joints: the joints that count for PCK and AUC; if empty, all joints but the root.
        predictions: (N, J, 3) float32 zeros on the CPU, which are filled with the predicted positions.
    Raises:
        UserError: a prediction is not finite.
    """
    mine, joints = distributed.part(len(poses)), poses.positions.shape[1]
    predictor = Predictor(model, poses.keypoints.device, mirror=mirror)
    groups, group_of, follows = _groups(poses)
    cells = group_of[:, None] * joints + torch.arange(joints)                          # (N, J)
    names = [*metrics, *([BASELINE] if mean_pose is not None else [])]

    def score(part: slice) -> Tensor:
        """Sums of a slice of this process's poses, (metrics, groups * joints)."""
        rows = slice(mine.start + part.start, mine.start + part.stop)
        predicted, target = (in_mm(each) for each in (predictor(poses.keypoints[rows]), poses.positions[rows]))
        if not predicted.isfinite().all():
            raise UserError('the network predicts positions that are not finite numbers.')
        if predictions is not None:
            predictions[rows] = predicted / METRES_TO_MM

        def total(values: Tensor, cells: Tensor) -> Tensor:
            return torch.bincount(cells.flatten(), values.cpu().flatten(), len(groups) * joints)

        sums = []
        for name in names:
            if name == VELOCITY:
                before = slice(max(rows.start - 1, 0), rows.start)  # the pose that the first one may follow
                motion = [torch.cat([in_mm(first), rest]).diff(dim=0) for first, rest in
                          ((predictor(poses.keypoints[before]), predicted), (poses.positions[before], target))]
                moved = slice(rows.stop - len(motion[0]), rows.stop)
                sums.append(total(joint_errors(*motion).cpu()[follows[moved]], cells[moved][follows[moved]]))
            elif name == BASELINE:
                assert mean_pose is not None
                sums.append(total(joint_errors(in_mm(mean_pose).expand_as(target), target), cells[rows]))
            else:
                sums.append(total(BY_JOINT[name](predicted, target), cells[rows]))
        return torch.stack(sums)

    sums = torch.zeros(len(names), len(groups) * joints, dtype=torch.float64)
    for done, part_sums in map_over_threads(score, mine.stop - mine.start, predictor.slice_size,
                                            poses.keypoints.device):
        sums += part_sums
        if report:
            report(done)
    sums = distributed.total(sums).view(len(names), len(groups), joints)
    if predictions is not None:
        predictions.copy_(distributed.total(predictions))
    return Evaluation(groups, dict(zip(names, sums, strict=True)), torch.bincount(group_of, minlength=len(groups)),
                      torch.bincount(group_of[follows], minlength=len(groups)),
                      list(pck_joints) or list(range(1, joints)))


def _groups(poses: Poses) -> tuple[list[Group], Tensor, Tensor]:
    """The groups in the order of tables, the group of each pose (N,), and whether it follows the pose before it (N,).

    Poses without sequences are grouped by kind of action, and none follows another.
    """
    if not poses.sequences:
        kinds = poses.kinds.cpu()
        present, group_of = kinds.unique(return_inverse=True)
        return [Group('', poses.kind_names[kind], '') for kind in present], group_of, torch.zeros_like(kinds).bool()
    of_sequence = [Group(sequence.subject, kind_of(sequence.action), sequence.camera) for sequence in poses.sequences]
    groups = sorted(dict.fromkeys(of_sequence), key=lambda group: poses.kind_names.index(group.action))
    lengths = torch.tensor([sequence.frames for sequence in poses.sequences])
    group_of = torch.tensor([groups.index(group) for group in of_sequence]).repeat_interleave(lengths)
    follows = torch.ones(len(poses), dtype=torch.bool)
    follows[(lengths.cumsum(0) - lengths)[lengths > 0]] = False
    return groups, group_of, follows


def in_mm(positions: Tensor) -> Tensor:
    """Metres to mm in float64, on CUDA where the positions are there, otherwise on the CPU: others have no float64."""
    return (positions if positions.is_cuda else positions.cpu()).double() * METRES_TO_MM
