"""All metrics of a report, by action, subject, camera and joint, against loops over single joints."""

import json
import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
import torch

from common.datasets import h36m
from common.datasets.poses import Poses, PoseSequence
from common.evaluation.evaluate import EvaluationOptions, evaluate, with_baseline
from common.evaluation.metrics import METRICS, align
from common.evaluation.report import print_pck, print_table, write_predictions, write_report
from tests.helpers.known_poses import Shifting, known_poses

SEQUENCES = [PoseSequence('Anna', 'Walking', 'left', 150, 2), PoseSequence('Anna', 'Walking', 'right', 1, 2),
             PoseSequence('Anna', 'Eating 1', 'left', 0, 2), PoseSequence('Ben', 'Walking 1', 'left', 70, 2),
             PoseSequence('Ben', 'Eating', 'right', 33, 2)]
LIMBS = [2, 3, 5, 6, 8]  # joints that count for PCK in these tests


@pytest.fixture
def poses():
    count = sum(sequence.frames for sequence in SEQUENCES)
    made = known_poses(count)
    errors = torch.randn(count, 16, 3) * torch.rand(count, 1, 1) * 0.2
    errors[:, 0] = 0
    kinds = [['Walking', 'Eating'].index(sequence.action.split()[0]) for sequence in SEQUENCES
             for _ in range(sequence.frames)]
    return Poses(made.keypoints, made.positions + errors, made.roots, torch.tensor(kinds), made.views,
                 kind_names=['Eating', 'Walking'], cameras=[], sequences=SEQUENCES)


def by_hand(predicted, true, rows, joints):
    """{metric: mean over poses and joints}, in float64, one joint at a time; `rows` is [(sequence, row)]."""
    predicted, true = predicted.double().numpy(), true.double().numpy()
    aligned = align(torch.from_numpy(predicted), torch.from_numpy(true)).numpy()
    found = {name: [] for name in METRICS}
    for sequence, row in rows:
        p, t = predicted[row], true[row]
        scale = sum(p[j] @ t[j] for j in range(16)) / sum(p[j] @ p[j] for j in range(16))
        for j in joints:
            off = 1000 * math.dist(p[j], t[j])
            found['mpjpe_mm'].append(off)
            found['p_mpjpe_mm'].append(1000 * math.dist(aligned[row][j], t[j]))
            found['n_mpjpe_mm'].append(1000 * math.dist(scale * p[j], t[j]))
            if (sequence, row - 1) in rows:
                found['velocity_error_mm'].append(1000 * math.dist(p[j] - predicted[row - 1][j],
                                                                   t[j] - true[row - 1][j]))
            if (sequence, row - 2) in rows:
                bent = [each[row][j] - 2 * each[row - 1][j] + each[row - 2][j] for each in (predicted, true)]
                found['acceleration_error_mm'].append(1000 * math.dist(*bent))
            if len(joints) == 1 or j in LIMBS:
                found['pck_150_percent'].append(100 if off < 150 else 0)
                found['auc_percent'].append(100 * sum(off < threshold for threshold in range(0, 151, 5)) / 31)
    return {name: fmean(values) for name, values in found.items() if values}


def all_rows():
    numbers = [sequence for sequence in SEQUENCES for _ in range(sequence.frames)]
    return list(zip(numbers, range(len(numbers)), strict=True))


def test_every_metric_is_what_a_loop_counts(poses, tmp_path):
    evaluation = evaluate(Shifting(), poses, EvaluationOptions(METRICS, pck_joints=LIMBS, keep_predictions=True))
    predictions = evaluation.predictions
    write_report(str(tmp_path / 'r.json'), evaluation, h36m.skeleton(), {'checkpoint': 'x'})
    report, rows, every = json.loads((tmp_path / 'r.json').read_text()), all_rows(), range(16)

    def check(found, rows, joints=every):
        expected = by_hand(predictions, poses.positions, rows, joints)
        assert {name: value for name, value in found.items() if name != 'poses'} == pytest.approx(expected, abs=1e-9)
        assert found.get('poses', len(rows)) == len(rows)

    check(report['pose_wise_average'], rows)
    for key, label in (('per_subject', lambda sequence: sequence.subject),
                       ('per_camera', lambda sequence: sequence.camera),
                       ('per_sequence', lambda sequence: f'{sequence.subject} {sequence.action}'),
                       ('per_action', lambda sequence: sequence.action.split()[0])):
        groups = {label(sequence) for sequence, _ in rows}
        assert set(report[key]) == groups
        for group in groups:
            check(report[key][group], [row for row in rows if label(row[0]) == group])
    for joint, name in enumerate(h36m.skeleton().names):
        check(report['per_joint'][name], rows, [joint])
    assert list(report['per_action']) == ['Eating', 'Walking']  # in the order of tables
    for metric in METRICS:
        mean = fmean(action[metric] for action in report['per_action'].values())
        assert report['action_wise_average'][metric] == pytest.approx(mean, abs=1e-9)
    assert report['pck_joints'] == [h36m.skeleton().names[joint] for joint in LIMBS]


def test_by_default_all_joints_but_the_root_count_for_pck(poses, capsys):
    evaluation = evaluate(Shifting(), poses, EvaluationOptions(METRICS))
    print_pck(evaluation, h36m.skeleton())
    assert 'PCK and AUC count 15 joints: RHip, RKnee' in capsys.readouterr().out
    inside = sum(1000 * math.dist(p, t) < 150 for pair in zip(Shifting()(poses.keypoints), poses.positions)
                 for p, t in list(zip(*(each.tolist() for each in pair)))[1:])
    assert evaluation.mean()['pck_150_percent'] == pytest.approx(100 * inside / (len(poses) * 15), abs=1e-3)


def test_the_extra_metrics_change_no_bit_of_the_others(poses):
    plain, full = evaluate(Shifting(), poses), evaluate(Shifting(), poses, EvaluationOptions(METRICS))
    assert all(torch.equal(sums, full.sums[name]) for name, sums in plain.sums.items())


def test_predictions_are_plain_arrays(poses, tmp_path):
    predictions = evaluate(Shifting(), poses, EvaluationOptions(keep_predictions=True)).predictions
    write_predictions(str(tmp_path / 'p.npz'), predictions, poses, h36m.skeleton())
    arrays = np.load(tmp_path / 'p.npz', allow_pickle=False)
    row = SEQUENCES[0].frames + SEQUENCES[1].frames + 5
    assert [arrays[name][row] for name in ('subject', 'action', 'camera', 'frame')] == ['Ben', 'Walking 1', 'left', 10]
    assert len(arrays['subject']) == len(arrays['frame']) == len(poses)
    np.testing.assert_allclose(arrays['predicted'], Shifting()(poses.keypoints).detach(), atol=1e-6)
    np.testing.assert_array_equal(arrays['true'], poses.positions)
    assert arrays['joints'].tolist() == list(h36m.skeleton().names)


def test_predictions_keep_the_frame_numbers_of_the_video(poses, tmp_path):
    numbered = replace(poses, sequences=[sequence._replace(first=100, spacing=3) for sequence in poses.sequences])
    write_predictions(str(tmp_path / 'p.npz'), torch.zeros(poses.positions.shape), numbered, h36m.skeleton())
    frames, first = np.load(tmp_path / 'p.npz')['frame'], SEQUENCES[0]
    np.testing.assert_array_equal(frames[:first.frames], 100 + 3 * first.step * np.arange(first.frames))
    assert frames[first.frames] == 100


def test_a_table_has_the_columns_that_are_asked_for(poses, capsys):
    evaluation = with_baseline(evaluate(Shifting(), poses, EvaluationOptions(METRICS)), poses, torch.zeros(16, 3))
    print_table(evaluation, ('mpjpe_mm', 'p_mpjpe_mm', 'pck_150_percent'))
    first, eating, *_, last = capsys.readouterr().out.splitlines()
    assert first.split() == ['action', 'poses', 'MPJPE', 'P-MPJPE', 'PCK@150', 'mean', 'pose']
    assert eating.split()[:2] == ['Eating', '33'] and last.startswith('Protocol #2 (P-MPJPE) action-wise average: ')
