"""The output of an evaluation: tables, the two published lines, a JSON report and a file of predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from common import distributed
from common.argument_types import positive_float, probability
from common.datasets.mocap import DatasetSpec
from common.datasets.poses import Poses
from common.datasets.splits import Data
from common.evaluation.evaluate import BASELINE, Evaluation
from common.evaluation.metrics import METRICS, PROTOCOLS, Metric, pck_metric
from common.files.atomic import atomic_write
from common.flags import flag
from common.geometry.skeleton import Skeleton

WIDTHS = {'poses': 9, BASELINE: 12}
BY = ('joint', 'subject', 'camera', 'sequence')
PCK_COLUMNS = (*PROTOCOLS, 'pck_150_percent', 'auc_percent')  # of the table by action, for data sets with `pck_joints`


@dataclass(frozen=True)
class ReportOptions:
    """The output of an evaluation, beyond the table by action; named as the flags."""

    report: str | None = flag(None, 'write all metrics of the evaluation as JSON, by action, subject, camera and joint',
                              metavar='FILE.json')
    by: Sequence[str] = flag((), f'with --evaluate: print all metrics by {" or ".join(BY)}, too', nargs='+', choices=BY,
                             metavar='PART', more=True)
    pck: Sequence[float] = flag((), 'further thresholds of PCK, mm', nargs='+', type=positive_float, metavar='MM',
                                more=True)
    root: bool = flag(False, 'with --evaluate: place each predicted pose before its camera by its 2D, and report the '
                             'error of the root (MRPE)', more=True)
    missing: Sequence[float] = flag((), 'with --evaluate: print the errors again with these shares of the joints '
                                        'hidden at random, for networks trained with --hide', nargs='+',
                                    type=probability, metavar='SHARE', more=True)
    predictions: str | None = flag(None, 'with --evaluate: write predicted and true poses, with subject, action, '
                                         'camera and frame', metavar='FILE.npz', more=True)

    def metrics(self, spec: DatasetSpec, moving: bool = True) -> dict[str, Metric]:
        """The metrics that must be computed.

        Args:
            moving: poses follow each other; otherwise (virtual cameras, one a pose) there is no motion to compare.
        """
        thresholds = {f'pck_{threshold:g}_percent': pck_metric(threshold) for threshold in self.pck}
        every = {**(METRICS if self.report or self.by or spec.pck_joints else PROTOCOLS), **thresholds}
        return {name: metric for name, metric in every.items() if moving or metric.frames == 1}


def pck_joints(spec: DatasetSpec) -> list[int]:
    """Indices of the joints that count for PCK on a data set; empty if it names none."""
    return [spec.skeleton.names.index(name) for name in spec.pck_joints]


def print_evaluation(evaluation: Evaluation, data: Data, options: ReportOptions, about: dict[str, Any]) -> None:
    """Print the tables of an evaluation, the published lines last, and write its report.

    Args:
        data: what was evaluated on.
        about: what was evaluated; the first entries of the report.
    """
    for attribute in options.by:
        _print_rows(attribute, _by(attribute, evaluation, data.skeleton), evaluation.metrics)
        print()
    if data.spec.pck_joints:
        print_pck(evaluation, data.skeleton)
    further = [name for name in evaluation.metrics if name not in METRICS]
    print_table(evaluation, [*(PCK_COLUMNS if data.spec.pck_joints else PROTOCOLS), *further])
    if options.report:
        chosen = data.options
        write_report(options.report, evaluation, data.skeleton, {
            **about, 'dataset': chosen.dataset, 'keypoints': chosen.keypoints, 'downsample': chosen.downsample})


def print_table(evaluation: Evaluation, columns: Iterable[str] = PROTOCOLS) -> None:
    """Print the errors by action, then the two lines that end a published evaluation."""
    shown = [name for name in dict.fromkeys([*columns, BASELINE]) if name in evaluation.metrics]
    _print_rows('action', evaluation.by('action'), {name: evaluation.metrics[name] for name in shown})
    average = evaluation.action_average
    if BASELINE in average:
        print(f'Baseline, the mean training pose: {average[BASELINE]:.2f} (mm) MPJPE.')
    print(f'Protocol #1   (MPJPE) action-wise average: {average["mpjpe_mm"]:.2f} (mm)')
    print(f'Protocol #2 (P-MPJPE) action-wise average: {average["p_mpjpe_mm"]:.2f} (mm)')


def print_pck(evaluation: Evaluation, skeleton: Skeleton) -> None:
    """Print PCK, AUC and MPJPE over all poses, and which joints count."""
    mean, names = evaluation.mean(), [skeleton.names[joint] for joint in evaluation.pck_joints]
    print(f'All poses: PCK {mean["pck_150_percent"]:.2f} % at 150 mm, AUC {mean["auc_percent"]:.2f} % (0 to 150 mm in '
          f'steps of 5), MPJPE {mean["mpjpe_mm"]:.2f} mm.')
    print(f'PCK and AUC count {len(names)} joints: {", ".join(names)}.')


def write_report(path: str, evaluation: Evaluation, skeleton: Skeleton, about: dict[str, Any]) -> None:
    """Write all means of an evaluation, unrounded, as JSON. The first process alone writes.

    Args:
        about: what was evaluated on which data; the first entries of the file.
    """
    if distributed.rank():
        return
    content = {**about, 'per_action': evaluation.by('action'), 'action_wise_average': evaluation.action_average,
               'pose_wise_average': evaluation.mean(),
               **{f'per_{attribute}': _by(attribute, evaluation, skeleton) for attribute in BY},
               'pck_joints': [skeleton.names[joint] for joint in evaluation.pck_joints]}
    with atomic_write(path, 'w') as file:
        json.dump(content, file, indent=1)
        file.write('\n')


def write_predictions(path: str, predictions: Tensor, poses: Poses, skeleton: Skeleton) -> None:
    """Write predicted and true poses and what they show, as plain arrays. The first process alone writes.

    Entries: `subject`, `action`, `camera` (N,) text, `frame` (N,) number in the video, counted from 0, `predicted` and
    `true` (N, J, 3) metres from the root in camera axes (x right, y down, z forward), `joints` (J,) names.
    """
    if distributed.rank():
        return
    lengths = [sequence.frames for sequence in poses.sequences]
    labels: dict[str, Any] = {name: np.repeat([getattr(sequence, name) for sequence in poses.sequences], lengths)
                              for name in ('subject', 'action', 'camera')}
    with atomic_write(path) as file:
        np.savez(file, **labels, frame=poses.video_frames().numpy(), predicted=predictions.numpy(),
                 true=poses.positions.cpu().numpy(), joints=np.array(skeleton.names))


def _by(attribute: str, evaluation: Evaluation, skeleton: Skeleton) -> dict[str, dict[str, float]]:
    return evaluation.by_joint(skeleton.names) if attribute == 'joint' else evaluation.by(attribute)


def _print_rows(label: str, rows: dict[str, dict[str, float]], metrics: Mapping[str, Metric]) -> None:
    """Print a table with a line for each row: its name, its number of poses and the metrics that it has."""
    headings = {'poses': 'poses', **{name: metric.heading for name, metric in metrics.items()}}
    shown = {name: f'{{:>{max(WIDTHS.get(name, 10), len(heading) + 1)}}}' for name, heading in headings.items()
             if any(name in row for row in rows.values())}
    first = max(14, *(len(name) + 1 for name in rows))
    print(f'{label:<{first}}' + ''.join(cell.format(headings[name]) for name, cell in shown.items()))
    for row_name, row in rows.items():
        cells = {name: f'{row[name]:{",d" if name == "poses" else ".2f"}}' if name in row else '' for name in shown}
        print(f'{row_name:<{first}}' + ''.join(cell.format(cells[name]) for name, cell in shown.items()))
