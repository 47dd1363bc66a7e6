"""predict.py: what stays in the files of whole bodies, the formats by suffix, and long files of many people."""

import csv
import re
import sys

import numpy as np
import pytest

from common.geometry.detector_layouts import LAYOUTS
from common.lifting.formats.people import Detections
from common.progress import announced, with_progress
from tests.helpers.layouts import spread
from tests.helpers.make_detections import write
from tests.lifting.test_predict import lifted, model, run, walking  # noqa: F401


def test_the_suffix_chooses_the_format(run, model, walking, tmp_path):  # noqa: F811
    np.save(tmp_path / 'k.npy', spread(walking, 'coco17'))
    for suffix in ('npz', 'json', 'csv', 'trc', 'bvh'):
        status, out, err = run('--checkpoint', model, '--input', 'k.npy', '--output', f'out.{suffix}', '--size',
                               '1000x1000', '--layout', 'coco17')
        assert status == 0 and f'Written: out.{suffix}' in out and 'metres' in out, err
    with open('out.csv', newline='') as file:
        assert len(list(csv.DictReader(file))) == len(walking)
    assert (tmp_path / 'out.trc').read_text().startswith('PathFileType')
    assert 'ROOT Hips' in (tmp_path / 'out.bvh').read_text()
    status, _, err = run('--checkpoint', model, '--input', 'k.npy', '--bvh', 'own.bvh', '--bvh_names', 'own', '--size',
                         '1000x1000', '--layout', 'coco17')
    assert status == 0 and 'JOINT LShoulder' in (tmp_path / 'own.bvh').read_text(), err


def test_the_scores_of_a_file_are_not_searched_for_each_person(run, model, walking, tmp_path, monkeypatch):  # noqa: F811
    """With hundreds of people of long clips that took most of the time."""
    searched = []
    whole = Detections.scored.fget
    monkeypatch.setattr(Detections, 'scored', property(lambda self: searched.append(1) or whole(self)))
    counts = []
    for people in (1, 3):
        searched.clear()
        joints = [spread(walking * 0.3 + (300 * place, 0), 'coco17') for place in range(people)]
        path = write(tmp_path, 'alphapose', joints, ids=list(range(people)))
        status, _, err = run('--checkpoint', model, '--input', path, '--size', '1000x1000', '--output', 'out.npz')
        assert status == 0, err
        counts.append(len(searched))
    assert counts[0] == counts[1]


@pytest.mark.parametrize('name, feet, hand', [('wholebody133', 17, 91), ('halpe136', 20, 94), ('body25', 19, None),
                                              ('mediapipe33', 29, 17)])
def test_hands_feet_and_face_stay_in_the_file(run, model, walking, tmp_path, rng, name, feet, hand):  # noqa: F811
    joints = spread(walking, name)
    further = LAYOUTS[name].joints - joints.shape[1]
    joints = np.concatenate([joints, rng.uniform(100, 900, (len(joints), further, 2))], axis=1)
    scores = rng.uniform(0.5, 1, joints.shape[:2])
    joints[3], scores[3] = np.nan, 0
    np.save(tmp_path / 'k.npy', np.concatenate([joints, scores[..., None]], axis=-1))
    made, _, _ = lifted(run, model, 'k.npy', '--size', '1000x1000', '--layout', name)
    names = made['joint_names_all'].tolist()
    assert len(set(names)) == len(names) == joints.shape[1]
    np.testing.assert_allclose(made['keypoints_2d_all'][..., :2], joints, rtol=1e-6)
    np.testing.assert_allclose(made['keypoints_2d_all'][4:, :, 2], scores[4:], rtol=1e-6)
    assert re.match('left.*(big_toe|heel)', names[feet])
    assert hand is None or re.match('left.*(root|pinky)', names[hand])
    again, _, _ = lifted(run, model, 'out.npz', '--size', '1000x1000')
    assert again['keypoints_2d'].shape == (len(joints), 16, 2) and 'keypoints_2d_all' not in again


def test_what_is_under_way_is_shown_on_a_terminal_alone(capsys, monkeypatch):
    with announced('reading k.json'):
        pass
    assert list(with_progress('writing', [3, 1])) == [3, 1] and capsys.readouterr().err == ''
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
    with announced('reading k.json'):
        assert capsys.readouterr().err == 'reading k.json ...\r'
    assert capsys.readouterr().err == '\x1b[K'
