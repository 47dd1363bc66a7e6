"""From the archives that users have to an evaluation: true projections as detections score as ground truth does."""

import json

import pytest

import main_gcn
from common.datasets import h36m
from data import prepare_data_2d_h36m_sh, prepare_data_h36m
from tests.conftest import moving_people, pixels_of
from tests.helpers import make_archives
from tests.helpers.make_checkpoints import checkpoint_of, trained

SUBJECTS = h36m.TRAIN_SUBJECTS + h36m.TEST_SUBJECTS


def true_detections(people):
    """{subject: {action: [4 views]}}: projections in the detector's order of joints, pixels."""
    order = [h36m.skeleton().names.index(name) for name in make_archives.SH_JOINTS]
    found = {subject: {action: [view[:, order] for view in views] for action, views in actions.items()}
             for subject, actions in pixels_of(people).items()}
    found['S11']['Directions'][0] = None  # as in the archives: 119 files
    return found


def test_archives_are_followed_to_an_evaluation(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    people = moving_people(SUBJECTS, make_archives.h36m_names(), frames=3)
    detections = true_detections(people)
    millimetres = {subject: {action: sequence * 1000.0 for action, sequence in actions.items()}
                   for subject, actions in people.items()}
    archive = make_archives.make_h36m_zip(tmp_path / 'h36m.zip', millimetres, detections)
    tar = make_archives.make_sh_tar(tmp_path / 'sh.tar.gz', detections)
    for main, arguments in ((prepare_data_h36m.main, ['--from-archive', archive]),
                            (prepare_data_2d_h36m_sh.main, ['-pt', archive]),
                            (prepare_data_2d_h36m_sh.main, ['-ft', tar])):
        status, _, err = script(main, *arguments, '--output', 'data')
        assert status == 0, err

    checkpoint_of(*trained()).save('untrained.pth.tar')
    reports = []
    for keypoints in ('gt', 'sh_pt_mpii', 'sh_ft_h36m'):
        status, _, err = script(main_gcn.main, '--evaluate', 'untrained.pth.tar', '-k', keypoints, '--report', 'r.json')
        assert status == 0, err
        reports.append(json.loads((tmp_path / 'r.json').read_text())['per_action'])
    assert list(reports[0]) == list(h36m.ACTIONS)
    assert reports[0]['Directions']['poses'] == 3 * 4 * 3  # S9's two takes and S11's one
    assert reports[0]['Walking']['poses'] == 4 * 4 * 3
    for report in reports[1:]:
        for kind, errors in report.items():
            assert errors['mpjpe_mm'] == pytest.approx(reports[0][kind]['mpjpe_mm'], abs=1e-2), kind
