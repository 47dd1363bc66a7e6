"""Kinds of files that gave wrong poses in silence: numbered joints, spellings of missing, units, mirrors, names."""

import json

import numpy as np
import pytest

from common.argument_types import image_size
from common.errors import UserError
from common.geometry.detector_layouts import COCO_17
from common.lifting.detections import read_detections
from common.lifting.plausibility import infer_layout
from tests.helpers.layouts import spread
from tests.helpers.make_detections import demo_walking

SIZE = (1000, 1000)


@pytest.fixture
def joints():
    """(10, 17, 2) pixels of somebody who walks."""
    return spread(demo_walking(2)[:10], 'coco17').round(2)


@pytest.fixture
def scores(rng):
    return rng.uniform(0.6, 0.98, (10, 17)).round(2)


def read(tmp_path, content, name='k.json', **entries):
    path = tmp_path / name
    if entries:
        np.savez(path, **entries)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_detections(str(path))


def test_a_joints_number_is_its_place_in_whatever_order_it_comes(tmp_path, joints):
    order = [16, 3, 0, *[joint for joint in range(17) if joint not in (0, 3, 5, 16)], 5]
    rows = [f'{frame},{joint},{x},{y}' for frame in range(10) for joint in order[frame == 0:]
            for x, y in [joints[frame, joint]]]
    objects = [[{'x': x, 'y': y, 'score': 0.9, 'id': joint} for joint in order[frame == 0:]
                for x, y in [joints[frame, joint]]] for frame in range(10)]
    keyed = [{f'kp{joint}': joints[frame, joint].tolist() for joint in order[frame == 0:]} for frame in range(10)]
    want = joints.copy()
    want[0, 16] = np.nan
    for content, name in (('\n'.join(['frame,landmark_id,x,y', *rows]), 'k.csv'), (objects, 'o.json'),
            (keyed, 'd.json')):
        np.testing.assert_allclose(read(tmp_path, content, name).keypoints(), want)
    one = '\n'.join(['frame,joint,x,y', *(f'{frame},{joint + 1},{x},{y}' for frame in range(10)
                                          for joint, (x, y) in enumerate(joints[frame]))])
    np.testing.assert_allclose(read(tmp_path, one, 'one.csv').keypoints(), joints)  # counted from 1


def test_scores_have_many_names_and_one_negative_score_is_not_a_depth(tmp_path, joints, scores, capsys):
    scores[2, 5] = 0
    for name in ('conf', 'keypoint_scores', 'confidences', 'visibility'):
        found = read(tmp_path, None, f'{name}.npz', keypoints=joints, **{name: scores})
        assert found.people[2][0].scores[5] == 0 and found.people[3][0].scores[4] == pytest.approx(scores[3, 4])
    column = np.concatenate([joints, scores[..., None]], -1)
    column[4, 7, 2] = -1
    for array in (column, np.insert(column, 2, -0.1, axis=-1)):
        found = read(tmp_path, array, 'k.npy')
        assert np.isnan(found.people[4][0].keypoints[7]).all() and found.people[3][0].scores[4] == scores[3, 4]
    capsys.readouterr()
    read(tmp_path, None, 'm.npz', keypoints=joints, instance_scores=np.ones(10))
    assert 'not used: instance_scores' in capsys.readouterr().out


@pytest.mark.parametrize('mark', [(-1, -1), (0, 0), (float('nan'), float('nan')), (-100, -100), (None, None)])
def test_missing_has_many_spellings(tmp_path, joints, mark):
    content = joints.tolist()
    content[3][8] = list(mark)
    objects = [[{'x': x, 'y': y, 'name': name} for (x, y), name in zip(frame, COCO_17)] for frame in content]
    cells = [['' if value is None else str(value) for point in frame for value in point] for frame in content]
    table = '\n'.join(','.join(row) for row in ([f'{name}_{axis}' for name in COCO_17 for axis in 'xy'], *cells))
    for form, name in ((content, 'a.json'), (objects, 'o.json'), (table, 'k.csv')):
        found = read(tmp_path, form, name).keypoints()
        assert np.argwhere(np.isnan(found[..., 0])).tolist() == [[3, 8]], name


def test_units_are_recognised_or_refused_with_what_they_are(tmp_path, joints, scores):
    screen = joints / SIZE[0] * 2 - 1
    for content, name in ((screen.tolist(), 'k.json'), (screen, 'k.npy')):
        found, note = read(tmp_path, content, name).scaled(SIZE)
        assert 'across the width' in note
        np.testing.assert_allclose(found.keypoints(), joints, atol=1e-6)
    middle = joints[:, [11, 12]].mean(1, keepdims=True)
    world = (joints - middle) / 500
    deep = np.concatenate([world, np.full((10, 17, 1), -0.2)], -1)
    shifted = np.concatenate([world + (0.4, 0.3), np.full((10, 17, 1), 0.7)], -1)
    shifted[:, ::2, 2] = -0.3
    body = spread(demo_walking(2)[:10], 'mediapipe33')
    marks = [[{'x': x, 'y': y, 'z': -0.1, 'visibility': 0.9} for x, y in points.tolist()]
             for points in (body - body[:, 23:25].mean(1, keepdims=True)) / 500]
    for content, name, sentence in ((world, 'k.npy', 'around the hip'), (marks, 'm.json', 'around the hip'),
                                    (deep.tolist(), 'k.json', 'around the hip'),
                                    (shifted, 's.npy', 'third coordinate'),
                                    ((joints - middle) * 3, 'mm.npy', 'millimetres'),
                                    (world * 2 + 3, 'far.npy', None)):
        found = read(tmp_path, content, name)
        if sentence is None:
            assert found.scaled(SIZE)[1] is None
        else:
            with pytest.raises(UserError, match=sentence):
                found.scaled(SIZE)


@pytest.mark.parametrize('change, word', [
    (lambda points: points * (-1, 1) + (1000, 0), 'mirrored'), (lambda points: points * (1, -1) + (0, 1000), 'y_up'),
    (lambda points: points, None)])
def test_mirrored_and_upside_down_is_turned_back_where_faces_show_it(tmp_path, joints, scores, change, word):
    joints[:, [1, 2]] = joints[:, [0]] + np.array([[[8, -9], [-8, -9]]])
    for left in (5, 11):  # somebody who faces the camera has the left on the right of the image
        joints[:, [left, left + 1]] = joints[:, [left, left + 1]].mean(1,
            keepdims=True) + np.array([[[40, 0], [-40, 0]]])
    objects = [[{'score': 0.9, 'keypoints': [{'x': x, 'y': y, 'score': score, 'name': name} for (x, y), score,
        name in zip(
        points.tolist(), each.tolist(), COCO_17)]}] for points, each in zip(change(joints), scores)]
    found, _, notes = infer_layout(read(tmp_path, objects).scaled(SIZE)[0])
    np.testing.assert_allclose(found.keypoints(), joints, atol=1e-6)
    assert bool(notes) == (word is not None)
    as_it_is, _, notes = infer_layout(read(tmp_path, objects).scaled(SIZE)[0], axes='xy')
    np.testing.assert_allclose(as_it_is.keypoints(), change(joints), atol=1e-6)
    if word:
        asked, _, _ = infer_layout(read(tmp_path, objects).scaled(SIZE)[0], axes=word)
        np.testing.assert_allclose(asked.keypoints(), joints, atol=1e-6)
    for frame in objects:  # without a visible face nothing shows it
        for joint in frame[0]['keypoints'][:5]:
            joint['score'] = 0.1
    unseen, _, notes = infer_layout(read(tmp_path, objects).scaled(SIZE)[0])
    np.testing.assert_allclose(unseen.keypoints(), change(joints), atol=1e-6)
    assert not notes or '--axes y_up' in notes[0]


def test_a_box_and_numbers_alone_are_no_tools_own(tmp_path, joints, scores):
    rows = [' '.join(map(str, np.column_stack([points, each]).ravel())) for points, each in zip(joints, scores)]
    np.testing.assert_allclose(read(tmp_path, '\n'.join(rows), 'k.txt').keypoints(), joints)
    boxed = [{'box': [1, 2, 3, 4], 'keypoints': np.column_stack([points, each]).tolist()}
             for points, each in zip(joints, scores)]
    np.testing.assert_allclose(read(tmp_path, boxed).keypoints(), joints)
    with pytest.raises(UserError, match='no header, and rows of 7 numbers fit no layout'):
        read(tmp_path, '1,2,3,4,5,6,7\n' * 9, 'odd.csv')


@pytest.mark.parametrize('names, frames, fps', [
    ([f'img_{frame:04d}_720p.jpg' for frame in range(10)], range(10), None),
    ([f'{frame + 3}_cam2_v1.png' for frame in range(10)], range(3, 13), None),
    ([f'{0.04 * frame:.2f}' for frame in range(10)], range(10), 25), ([1.7e12 + 40 * frame for frame in range(10)],
    range(10), 25),
    ([f'clip-{frame:03d}_keypoints.json' for frame in range(10)], range(10), None)])
def test_the_number_that_changes_counts_the_frames(tmp_path, joints, scores, names, frames, fps):
    entries = [{'image_id': name, 'category_id': 1, 'keypoints': np.column_stack([points, each]).ravel().tolist()}
               for name, points, each in zip(names, joints, scores)]
    found = read(tmp_path, entries)
    assert list(found.people) == list(frames) and not found.photos
    assert found.fps == (fps and pytest.approx(fps, rel=1e-3))


def test_two_boxes_on_one_person_and_random_detections(tmp_path, joints, scores, rng, capsys):
    entries = []
    for frame, (points, each) in enumerate(zip(joints, scores)):
        for place, score, name in ((points, 0.9, 'a b/c'), (points + rng.normal(0, 6, points.shape), 0.7, 'x' * 90),
                                   (points + (250, 0), 0.8, 'ü'), (rng.uniform(0, 900, points.shape), 0.08, 'n')):
            entries.append({'image_id': frame, 'keypoints': np.column_stack([place, each]).ravel().tolist(),
                'score': score,
                            'track_id': name})
    found = read(tmp_path, entries)
    assert [len(everybody) for everybody in found.people.values()] == [2] * 10
    np.testing.assert_allclose(found.people[4][0].keypoints, joints[4])
    assert {who.track for who in found.people[4]} == {'a_b_c', 'ü'}
    said = capsys.readouterr().out
    assert '10 detections with a score of the person below 0.1' in said and '10 second detections' in said


def test_what_was_understood_is_said_in_one_line(tmp_path, joints, capsys):
    content = {'canvas_width': 1000, 'canvas_height': 1000, 'frames': [
        {'people': [dict(zip(COCO_17, points.tolist())), dict(zip(COCO_17, (points + 400).tolist()))][:1 + frame % 2]}
        for frame, points in enumerate(joints)]}
    read(tmp_path, content)
    assert capsys.readouterr().out.splitlines() == [
        f'{tmp_path / "k.json"}: 10 frames, 1 to 2 people of 17 named joints, no scores, size 1000x1000 from '
        'canvas_width']


@pytest.mark.parametrize('text', ['1920x1080', '1920X1080', '1920,1080', '1920, 1080', '(1920, 1080)'])
def test_sizes_have_many_spellings(text):
    assert image_size(text) == (1920, 1080)
