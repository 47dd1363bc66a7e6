"""The output of an evaluation: tables, the two published lines, a JSON report and a file of predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from common import distributed
from common.datasets.poses import Poses
from common.evaluation.evaluate import BASELINE, METRICS, PROTOCOLS, Evaluation
from common.files.atomic import atomic_write
from common.geometry.skeleton import Skeleton

WIDTHS = {'poses': 9, BASELINE: 12}
HEADINGS = {'poses': 'poses', 'mpjpe_mm': 'MPJPE', 'p_mpjpe_mm': 'P-MPJPE', 'n_mpjpe_mm': 'N-MPJPE',
            'velocity_error_mm': 'velocity', 'pck_150_percent': 'PCK@150', 'auc_percent': 'AUC', BASELINE: 'mean pose'}
BY = ('joint', 'subject', 'camera')  # further tables, for `--by`
PCK_METRICS = (*PROTOCOLS, 'pck_150_percent', 'auc_percent')  # for data sets with `pck_joints`


def print_table(evaluation: Evaluation, metrics: Sequence[str] = PROTOCOLS) -> None:
    """Print the errors by action, then the two lines that end a published evaluation."""
    _print_rows('action', evaluation.by('action'), (*metrics, BASELINE))
    average = evaluation.action_average
    if BASELINE in average:
        print(f'Answering the mean training pose instead would give {average[BASELINE]:.2f} (mm) MPJPE.')
    print(f'Protocol #1   (MPJPE) action-wise average: {average["mpjpe_mm"]:.2f} (mm)')
    print(f'Protocol #2 (P-MPJPE) action-wise average: {average["p_mpjpe_mm"]:.2f} (mm)')


def print_tables_by(attributes: Sequence[str], evaluation: Evaluation, skeleton: Skeleton) -> None:
    """Print all metrics by joint, subject or camera (`BY`)."""
    for attribute in attributes:
        _print_rows(attribute, _by(attribute, evaluation, skeleton), METRICS)
        print()


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

    Entries: `subject`, `action`, `camera` (N,) text, `frame` (N,) counted from 0, `predicted` and `true` (N, J, 3)
    metres from the root in camera axes (x right, y down, z forward), `joints` (J,) names.
    """
    if distributed.rank():
        return
    lengths = [sequence.frames for sequence in poses.sequences]
    labels: dict[str, Any] = {name: np.repeat([getattr(sequence, name) for sequence in poses.sequences], lengths)
                              for name in ('subject', 'action', 'camera')}
    frames = np.concatenate([np.arange(length) * sequence.step
                             for length, sequence in zip(lengths, poses.sequences, strict=True)])
    with atomic_write(path) as file:
        np.savez(file, **labels, frame=frames, predicted=predictions.numpy(), true=poses.positions.cpu().numpy(),
                 joints=np.array(skeleton.names))


def _by(attribute: str, evaluation: Evaluation, skeleton: Skeleton) -> dict[str, dict[str, float]]:
    return evaluation.by_joint(skeleton.names) if attribute == 'joint' else evaluation.by(attribute)


def _print_rows(label: str, rows: dict[str, dict[str, float]], metrics: Sequence[str]) -> None:
    """Print a table with a line for each row: its name, its number of poses and the metrics that it has."""
    shown = [metric for metric in ('poses', *metrics) if any(metric in row for row in rows.values())]
    headings = [HEADINGS.get(metric, metric) for metric in shown]
    widths = [max(WIDTHS.get(metric, 10), len(heading) + 1) for metric, heading in zip(shown, headings, strict=True)]
    first = max(14, *(len(name) + 1 for name in rows))
    print(f'{label:<{first}}' + ''.join(f'{heading:>{width}}' for heading, width in zip(headings, widths, strict=True)))
    for name, row in rows.items():
        cells = [f'{row[metric]:{",d" if metric == "poses" else ".2f"}}' if metric in row else '' for metric in shown]
        print(f'{name:<{first}}' + ''.join(f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True)))
