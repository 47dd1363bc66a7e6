"""The errors of a network on a test set, computed and averaged in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common import distributed
from common.datasets.mocap import kind_of
from common.datasets.poses import Poses
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualCameras, virtual_views
from common.errors import UserError
from common.evaluation.metrics import PROTOCOLS, Metric, joint_errors
from common.geometry.mirror import Mirror
from common.inference import Predictor
from common.threads import map_over_threads

METRES_TO_MM = 1000.0
BASELINE = 'mean_pose_mpjpe_mm'


class Group(NamedTuple):
    """Poses of one sequence (subject and action) in one camera; `action` is its kind."""

    subject: str
    action: str
    camera: str
    sequence: str


@dataclass(frozen=True)
class Evaluation:
    """Errors of a test set: sums over the poses of each group, joint by joint. Every table is a mean of some sums.

    Attributes:
        groups: G groups of poses.
        poses: (G,) number of poses.
        metrics: what was computed.
        sums: {metric: (G, J)}, or (G, 1) for a metric that is not a mean over joints; in mm or percent.
        counts: {metric: (G,)} number of poses that have a value: those with enough poses of their sequence before them.
        pck_joints: the joints over which PCK and AUC are averaged.
        predictions: (N, J, 3) float32 metres, on the CPU, if they were asked for.
    """

    groups: list[Group]
    poses: Tensor
    metrics: dict[str, Metric]
    sums: dict[str, Tensor]
    counts: dict[str, Tensor]
    pck_joints: list[int]
    predictions: Tensor | None = None

    def mean(self, groups: Iterable[int] | None = None, joint: int | None = None) -> dict[str, float]:
        """{metric: mean over the poses of some groups (None: of all) and over the joints (None: over all)}."""
        chosen = list(range(len(self.groups)) if groups is None else groups)
        means = {}
        for name, sums in self.sums.items():
            count, metric = int(self.counts[name][chosen].sum()), self.metrics[name]
            joints = self.pck_joints if metric.pck else list(range(sums.shape[1]))
            if joint is not None:
                joints = [joint] if metric.by_joint else []
            if count and joints:
                means[name] = (sums[chosen][:, joints].sum() / (count * len(joints))).item()
        return means

    def by(self, attribute: str) -> dict[str, dict[str, float]]:
        """{name: its number of 'poses' and the means of its metrics} by 'subject', 'action', 'camera' or 'sequence'."""
        members: dict[str, list[int]] = {}
        for index, group in enumerate(self.groups):
            if not self.poses[index]:
                continue
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


@dataclass(frozen=True)
class EvaluationOptions:
    """What an evaluation computes.

    Attributes:
        metrics: of `metrics.METRICS`, or others.
        mirror: averages the predictions for each pose and for its mirror image.
        pck_joints: the joints that count for PCK and AUC; if empty, all joints but the root.
        keep_predictions: whether the evaluation holds every predicted pose.
        between_slices: called with the number of poses done.
    """

    metrics: Mapping[str, Metric] = field(default_factory=lambda: PROTOCOLS)
    mirror: Mirror | None = None
    pck_joints: Sequence[int] = ()
    keep_predictions: bool = False
    between_slices: Callable[[int], None] = lambda done: None


def evaluate(model: nn.Module, poses: Poses, options: EvaluationOptions = EvaluationOptions()) -> Evaluation:
    """Evaluate a network on a test set. Several processes share the poses, and each gets the whole result.

    Args:
        model: any network (B, J, 2) -> (B, J, 3).
        poses: on the model's device.
    Raises:
        UserError: a prediction is not finite.
    """
    mine, scorer = distributed.part(len(poses)), _Scorer(model, poses, options)
    groups, joints = scorer.groups, poses.positions.shape[1]
    sums = {name: torch.zeros(len(groups) * (joints if metric.by_joint else 1), dtype=torch.float64)
            for name, metric in options.metrics.items()}
    for done, part_sums in map_over_threads(scorer.score, mine.stop - mine.start, scorer.predictor.slice_size,
                                            poses.keypoints.device):
        for name, part_sum in part_sums.items():
            sums[name] += part_sum
        options.between_slices(done)
    counts = {name: torch.bincount(scorer.group_of[scorer.place >= metric.frames - 1], minlength=len(groups))
              for name, metric in options.metrics.items()}
    return Evaluation(groups, torch.bincount(scorer.group_of, minlength=len(groups)), dict(options.metrics),
                      {name: distributed.total(each).view(len(groups), -1) for name, each in sums.items()}, counts,
                      list(options.pck_joints) or list(range(1, joints)),
                      None if scorer.predictions is None else distributed.total(scorer.predictions))


class _Scorer:
    """Scores slices of this process's poses; several threads may do so at a time.

    Attributes:
        centers: (N,) of `Poses.centers`.
        predictor: the network.
        groups: of all poses, in the order of tables.
        group_of: (N,) the group of each pose.
        place: (N,) the place of each pose among the consecutive poses of its sequence, counted from 0.
        predictions: (N, J, 3) float32 on the CPU, zero for the poses of other processes; None if they are not kept.
    """

    def __init__(self, model: nn.Module, poses: Poses, options: EvaluationOptions) -> None:
        self.poses, self.options, self.centers = poses, options, poses.centers()
        self.predictor = Predictor(model, poses.keypoints.device, mirror=options.mirror)
        self.start = distributed.part(len(poses)).start
        self.groups, self.group_of, self.place = _groups(poses)
        self.predictions = torch.zeros(poses.positions.shape) if options.keep_predictions else None

    def score(self, part: slice) -> dict[str, Tensor]:
        """{metric: sums over a slice of this process's poses, by group and joint}."""
        rows = slice(self.start + part.start, self.start + part.stop)
        before = max(metric.frames for metric in self.options.metrics.values()) - 1
        history = slice(max(rows.start - before, 0), rows.start)  # poses that the first ones may follow
        parts = [in_mm(self._predict(each)) for each in (history, rows)]
        if not parts[1].isfinite().all():
            raise UserError('the network predicts positions that are not finite numbers.')
        if self.predictions is not None:
            self.predictions[rows] = (parts[1] / METRES_TO_MM).float().cpu()
        predicted, target = torch.cat(parts), in_mm(self.poses.positions[history.start:rows.stop])
        return {name: self._sum(metric, predicted, target, rows) for name, metric in self.options.metrics.items()}

    def _predict(self, rows: slice) -> Tensor:
        centers, rays = (None if each is None else each[rows] for each in (self.centers, self.poses.rays))
        return self.predictor(self.poses.keypoints[rows], centers, rays)

    def _sum(self, metric: Metric, predicted: Tensor, target: Tensor, rows: slice) -> Tensor:
        start = max(len(predicted) - (rows.stop - rows.start) - (metric.frames - 1), 0)
        values = metric.values(predicted[start:], target[start:]).cpu()                # (n,) or (n, J)
        last = slice(rows.stop - len(values), rows.stop)
        follows = self.place[last] >= metric.frames - 1
        values, groups, columns = values[follows], self.group_of[last][follows], 1
        if metric.by_joint:
            columns = values.shape[1]
            groups = groups[:, None] * columns + torch.arange(columns)                 # (n, J)
        return torch.bincount(groups.flatten(), values.flatten(), len(self.groups) * columns)


def _groups(poses: Poses) -> tuple[list[Group], Tensor, Tensor]:
    """The groups in the order of tables, and of each pose (N,) the group and the place among the poses it follows.

    Poses without sequences are grouped by kind of action, and none follows another.
    """
    if not poses.sequences:
        kinds = poses.kinds.cpu()
        present, group_of = kinds.unique(return_inverse=True)
        return [Group('', poses.kind_names[kind], '', '') for kind in present], group_of, torch.zeros_like(kinds)
    of_sequence = [Group(each.subject, kind_of(each.action), each.camera, f'{each.subject} {each.action}')
                   for each in poses.sequences]
    groups = sorted(dict.fromkeys(of_sequence), key=lambda group: poses.kind_names.index(group.action))
    lengths = torch.tensor([sequence.frames for sequence in poses.sequences])
    group_of = torch.tensor([groups.index(group) for group in of_sequence]).repeat_interleave(lengths)
    return groups, group_of, torch.arange(len(poses)) - poses.bounds()[0].cpu()


def input_poses(poses: Poses, data: Data, window: int, normalization: str, virtual: VirtualCameras | None,
                fewest: float = 1.0) -> Poses:
    """Poses with the keypoints that a network expects.

    Args:
        window, normalization: of the network's checkpoint.
        virtual: of virtual cameras; None for the cameras of the data set.
        fewest: share of the joints that the network needs, `Checkpoint.fewest_visible`.
    Raises:
        UserError: virtual cameras are asked for, but the network was not trained with them.
    """
    if virtual and normalization != 'person':
        raise UserError('--virtual is for networks that were trained with it; leave the flag out to evaluate this one.')
    if virtual:
        views = virtual_views(poses, data.skeleton, window, data.fps, virtual)
        return replace(views, sequences=[sequence._replace(camera='virtual') for sequence in poses.sequences])
    return poses.as_person(window, data.fps, fewest) if normalization == 'person' else poses


def with_baseline(evaluation: Evaluation, poses: Poses, mean_pose: Tensor | None) -> Evaluation:
    """The evaluation with the MPJPE of a baseline, the mean training pose (J, 3); unchanged where it is None."""
    if mean_pose is None:
        return evaluation
    metric = Metric('mean pose', joint_errors)
    options = EvaluationOptions({BASELINE: metric})
    baseline = evaluate(_Constant(mean_pose.to(poses.positions)), poses, options)
    return replace(evaluation, metrics={**evaluation.metrics, BASELINE: metric},
                   sums={**evaluation.sums, **baseline.sums}, counts={**evaluation.counts, **baseline.counts})


class _Constant(nn.Module):
    def __init__(self, pose: Tensor) -> None:
        super().__init__()
        self.pose = pose

    def forward(self, keypoints: Tensor) -> Tensor:
        return self.pose.expand(len(keypoints), -1, -1)


def with_values(evaluation: Evaluation, poses: Poses, name: str, metric: Metric, values: Tensor) -> Evaluation:
    """The evaluation and one more metric, not a mean over joints, of which the value of each pose is known.

    Args:
        values: (N,) float64; NaN where a pose has none.
    """
    groups, group_of, _ = _groups(poses)
    known = values.isfinite()
    sums = torch.bincount(group_of[known], values[known], len(groups))
    counts = torch.bincount(group_of[known], minlength=len(groups))
    return replace(evaluation, metrics={**evaluation.metrics, name: metric},
                   sums={**evaluation.sums, name: sums[:, None]}, counts={**evaluation.counts, name: counts})


def in_mm(positions: Tensor) -> Tensor:
    """Metres to mm in float64, on CUDA where the positions are there, otherwise on the CPU: others have no float64."""
    return (positions if positions.is_cuda else positions.cpu()).double() * METRES_TO_MM
