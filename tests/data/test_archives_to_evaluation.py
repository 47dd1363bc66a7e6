"""From the archives that users have to an evaluation: true projections as detections score as ground truth does."""

import json

import numpy as np
import pytest

import main_gcn
from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.geometry.camera import image_coordinates, project, world_to_camera
from data import prepare_data_2d_h36m_sh, prepare_data_h36m
from models.config import ModelConfig, build_model
from tests.conftest import moving_people
from tests.helpers import make_archives

SUBJECTS = h36m.TRAIN_SUBJECTS + h36m.TEST_SUBJECTS


@pytest.fixture
def people():
    """{subject: {action: (T, 32, 3)}}, metres; all 7 subjects and 30 sequences, S11's corrupted one too."""
    return moving_people(SUBJECTS, make_archives.h36m_names(), frames=3)


def true_detections(people):
    """{subject: {action: [4 views]}}: projections in the detector's order of joints, pixels."""
    names = h36m.skeleton().names
    order = [names.index(name) for name in make_archives.SH_JOINTS]
    found = {}
    for subject, actions in people.items():
        found[subject] = {}
        for action, sequence in actions.items():
            kept = sequence[:, h36m.KEPT_JOINTS].astype(np.float64)
            found[subject][action] = [
                image_coordinates(project(world_to_camera(kept, camera), camera), camera.width, camera.height)[:, order]
                for camera in h36m.cameras()[subject]]
    found['S11']['Directions'][0] = None  # as in the archives: 119 files
    return found


def test_archives_are_followed_to_an_evaluation(people, tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
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

    config = ModelConfig('gcn', hid_dim=8, num_layers=1)
    state = build_model(config, h36m.skeleton()).state_dict()
    Checkpoint(0, 1e-3, 0, state, None, 0.0, config).save('untrained.pth.tar')
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
