"""What an evaluation tells: a table action by action, the two published lines, and the same as JSON."""

import json
from typing import Any

from common.evaluation.evaluate import ActionError, Evaluation
from common.files.atomic import atomic_write


def print_table(evaluation: Evaluation) -> None:
    """Print the errors action by action, then the two lines that end a published evaluation."""
    with_baseline = evaluation.mean_pose is not None
    print(f'{"action":<14}{"poses":>9}{"MPJPE":>10}{"P-MPJPE":>10}' + (f'{"mean pose":>12}' if with_baseline else ''))
    for action in evaluation.actions:
        print(f'{action.kind:<14}{action.poses:>9,}{action.mpjpe:>10.2f}{action.p_mpjpe:>10.2f}'
              + (f'{action.mean_pose:>12.2f}' if with_baseline else ''))
    if with_baseline:
        print(f'Answering the mean training pose instead would give {evaluation.mean_pose:.2f} (mm) MPJPE.')
    print(f'Protocol #1   (MPJPE) action-wise average: {evaluation.mpjpe:.2f} (mm)')
    print(f'Protocol #2 (P-MPJPE) action-wise average: {evaluation.p_mpjpe:.2f} (mm)')


def errors_of(source: Evaluation | ActionError) -> dict[str, float]:
    """The errors of an evaluation or of one kind of action, by the names that reports have for them."""
    named = {'mpjpe_mm': source.mpjpe, 'p_mpjpe_mm': source.p_mpjpe, 'mean_pose_mpjpe_mm': source.mean_pose}
    return {name: value for name, value in named.items() if value is not None}


def write_report(path: str, evaluation: Evaluation, about: dict[str, Any]) -> None:
    """Write the figures of `print_table`, unrounded, as JSON.

    Args:
        about: what was evaluated, on what; put first.
    """
    kinds = {action.kind: {'poses': action.poses, **errors_of(action)} for action in evaluation.actions}
    content = {**about, 'per_action': kinds,
               'action_wise_average': errors_of(evaluation),
               'pose_wise_average': {'mpjpe_mm': evaluation.pose_mpjpe, 'p_mpjpe_mm': evaluation.pose_p_mpjpe}}
    with atomic_write(path, 'w') as file:
        json.dump(content, file, indent=1)
        file.write('\n')
