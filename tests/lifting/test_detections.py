"""Detector files: plain arrays, missing joints, numbers of frames, and one sentence for every damage."""

import json
import tracemalloc

import numpy as np
import pytest

from common.errors import UserError
from common.files import npz
from common.lifting.detections import read_detections
from common.lifting.formats import loading
from tests.helpers.layouts import spread
from tests.helpers.make_detections import write


@pytest.fixture
def walker(rng):
    """(6, 16, 2) pixels of somebody who drifts to the right."""
    return rng.uniform(300, 600, (16, 2)) + np.arange(6)[:, None, None] * (4.0, 0.0)


def test_plain_arrays(tmp_path, walker):
    joints = spread(walker, 'coco17')
    np.save(tmp_path / 'a.npy', joints)
    np.save(tmp_path / 'b.npy', np.concatenate([joints, np.full((6, 17, 1), 0.5)], -1)[0])
    np.savez(tmp_path / 'c.npz', keypoints=joints, scores=np.full((6, 17), 0.25), frames=np.arange(10, 16))
    np.savez(tmp_path / 'd.npz', anything=joints)
    np.savez(tmp_path / 'e.npz', keypoints_2d=joints, image_size=[1920, 1080], fps=25.0)
    np.savez(tmp_path / 'f.npz', keypoints_2d=joints, image_size=[0, 0], fps=np.nan)
    whole = read_detections(str(tmp_path / 'a.npy'))
    assert whole.format == 'array' and whole.joined and whole.joints == 17 and len(whole.people) == 6
    single = read_detections(str(tmp_path / 'b.npy'))
    assert len(single.people) == 1 and single.people[0][0].scores.tolist() == [0.5] * 17
    scored = read_detections(str(tmp_path / 'c.npz'))
    assert list(scored.people) == list(range(10, 16)) and scored.people[12][0].scores[0] == 0.25
    assert len(read_detections(str(tmp_path / 'd.npz')).people) == 6
    described, unknown = (read_detections(str(tmp_path / name)) for name in ('e.npz', 'f.npz'))
    assert (described.size, described.fps, unknown.size, unknown.fps) == ((1920, 1080), 25.0, None, None)


def test_videopose3d_file_of_several_sequences_asks_which(tmp_path, walker):
    path = str(tmp_path / 'data_2d_h36m_x.npz')
    view = spread(walker, 'h36m17')
    npz.write_npz(path, positions_2d={'S9': {'Walking': [view, view + 1]}}, metadata={'num_joints': 17})
    with pytest.raises(UserError, match='--sequence one of S9/Walking/0, S9/Walking/1'):
        read_detections(path)
    found = read_detections(path, sequence='S9/Walking/1')
    assert found.layout is None
    np.testing.assert_array_equal(found.people[0][0].keypoints, view[0] + 1)


def test_missing_joints_are_marked_and_not_believed(tmp_path, walker):
    joints, scores = spread(walker, 'coco17'), np.full((6, 17), 0.9)
    joints[:, 3] = 0  # as detectors write what they have not found
    scores[:, 4] = 0
    content = json.loads(write(tmp_path, 'coco', [joints], [scores]).read_text())
    content[0]['keypoints'][6] = None
    content[1]['keypoints'][9] = float('nan')
    content[2]['keypoints'][12] = float('inf')
    (tmp_path / 'x.json').write_text(json.dumps(content))
    people = read_detections(str(tmp_path / 'x.json')).people
    missing = [np.flatnonzero(np.isnan(people[frame][0].keypoints[:, 0])).tolist() for frame in range(4)]
    assert missing == [[2, 3, 4], [3, 4], [3, 4], [3, 4]]
    assert people[0][0].scores[[2, 3, 4]].tolist() == [0, 0, 0]


@pytest.mark.parametrize('format, scale, shift, word', [('coco', 1, 0, '0 to 1'), ('openpose', 2, -1, '-1 to 1')])
def test_normalised_coordinates_become_pixels_and_that_is_said(tmp_path, walker, format, scale, shift, word):
    layout = 'body25' if format == 'openpose' else 'coco17'
    joints = spread(walker, layout)
    joints[:, 0] = 20.0  # something near a corner, as there is in a whole clip
    path = write(tmp_path, format, [joints / (1000, 800) * scale + shift])
    found, note = read_detections(str(path)).scaled((1000, 800))
    assert word in note
    np.testing.assert_allclose(found.people[3][0].keypoints, joints[3], atol=1e-6)
    for small in (1, 100):  # a hundredth of it are pixels still, of somebody far away
        alphapose = write(tmp_path, 'alphapose', [spread(walker / small, 'coco17')])
        found, note = read_detections(str(alphapose)).scaled((1000, 800))
        assert note is None


def test_names_number_the_frames_or_their_order_does(tmp_path, walker, capsys):
    content = json.loads(write(tmp_path, 'alphapose', [spread(walker, 'coco17')]).read_text())
    for entry, name in zip(content, ['v2_03.png', 'v2_05.png', 'v2_07.png', 'v2_09.png', 'v2_11.png', 'v2_13.png']):
        entry['image_id'] = name
    (tmp_path / 'x.json').write_text(json.dumps(content))
    assert list(read_detections(str(tmp_path / 'x.json')).people) == [3, 5, 7, 9, 11, 13]
    for entry, name in zip(content, 'abcdef'):
        entry['image_id'] = name + '.png'
    (tmp_path / 'x.json').write_text(json.dumps(content))
    assert list(read_detections(str(tmp_path / 'x.json')).people) == [0, 1, 2, 3, 4, 5]
    assert 'numbered from 0' in capsys.readouterr().err


def flat(count=51, value=5.0):
    return [value] * count


@pytest.mark.parametrize('content, sentence', [
    ('', 'not readable JSON'), ('{"people": [', 'not readable JSON'), ('\x00\xff', 'not readable JSON'),
    ('[' * 100_000, 'nested too deep'), ('[]', 'holds no person'), ('[[], []]', 'holds no person'),
    ('{"a": 1}', 'only the entries a'), ('[1, 2]', 'it is a list of 2 values like 1, 2'), ('"x"', 'it is x'),
    ({'people': []}, 'holds no person'), ({'people': 3}, 'only the entries people'),
    ({'people': [3]}, 'its people are a list of 1 values like 3'), ({'people': [{}]}, 'holds no person'),
    ({'people': [{'pose_keypoints_2d': flat(74)}]}, '74 numbers for a body, which fit no layout'),
    ([{'image_id': 1}], 'only the entries image_id'), ([{'image_id': 1, 'keypoints': {}}], 'holds no person'),
    ([{'image_id': 1, 'keypoints': ['a'] * 51}], 'its keypoints are a list of 51 values like a, a'),
    ([{'image_id': 1, 'keypoints': [[1, 2], [3]]}], 'which are not x and y of some joints'),
    ([{'image_id': 1, 'keypoints': [10**400] * 51}], 'a list of 51 values'),
    ([{'image_id': -3, 'keypoints': flat()}], 'frame numbers below 0'),
    ([{'image_id': 1, 'keypoints': flat()}, {'image_id': 2, 'keypoints': flat(48)}], 'people of 16, 17 joints'),
    ([{'image_id': 1, 'keypoints': []}], 'holds no person'),
    ([{'frame_id': 0, 'instances': 3}], 'only the entries frame_id, instances'),
    ([{'frame_id': 0, 'instances': []}], 'holds no person'),
    ([{'instances': []}, {'instances': []}], 'holds no person'),
    ([{'keypoints': [[1, 2]] * 17, 'keypoint_scores': [1] * 16}],
    r'its keypoint_scores are \(16,\) for keypoints \(17, 2\)'),
    ([{'name': 'person', 'box': {}, 'class': 0}], 'Use a -pose model'),
    ([{'name': 'person', 'box': {}, 'keypoints': {'x': [1]}}], 'its x are a list of 1 values'),
    ([{'name': 'person', 'box': {}, 'keypoints': {'x': [1], 'y': [1, 2]}}], '1 x and 2 y'),
])
def test_damaged_json_gets_one_sentence(tmp_path, content, sentence):
    path = tmp_path / 'x.json'
    if isinstance(content, str):
        path.write_bytes(content.encode('latin-1'))
    else:
        path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence) as caught:
        read_detections(str(path))
    assert 'x.json' in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('part', ['[],', '{},', '{"a":1},', '1,', '"a",', '[[[[]]]],', '1.5,'])
def test_json_that_grows_is_refused_before_it_has_grown(tmp_path, part, monkeypatch):
    """What is let through takes no more than was estimated."""
    text = '[' + 100_000 * part + '0]'
    tracemalloc.start()
    content = json.loads(text)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(content) == 100_001
    monkeypatch.setattr(loading, 'MAX_MEMORY', taken)
    (tmp_path / 'x.json').write_text(text)
    with pytest.raises(UserError, match=r'x\.json is refused: it is made of too many lists and values'):
        read_detections(str(tmp_path / 'x.json'))
    monkeypatch.setattr(loading, 'MAX_MEMORY', 15 * taken)
    with pytest.raises(UserError, match=r'no joints are found|no person|fit no layout'):
        read_detections(str(tmp_path / 'x.json'))


@pytest.mark.parametrize('entries, sentence', [
    ({'positions_2d': np.zeros((3, 4))}, r'its positions_2d are float64 \(3, 4\), which are not x and y'),
    ({'a': np.zeros(3), 'b': np.zeros(3)}, 'which are not x and y'),
    ({'keypoints': np.array(['a', 'b'])}, 'its keypoints are <U1'),
    ({'keypoints': np.array(5), 'frames': np.arange(5)}, 'its keypoints are int64'),
    ({'keypoints': np.zeros((2, 17, 2)), 'scores': np.zeros((2, 16))}, 'its scores are'),
    ({'keypoints': np.zeros((2, 17, 2))}, 'holds no person'),
    ({'boxes': np.zeros((2, 3)), 'keypoints': np.zeros((3, 3))}, 'are not lists of numbers'),
    ({'boxes': np.zeros(()), 'keypoints': np.zeros(())}, 'not a list of frames'),
    ({'boxes': np.zeros((1, 2)), 'keypoints': np.zeros((1, 2, 3))}, 'boxes of frame 0 are not lists of numbers'),
    ({'boxes': np.zeros((1, 2, 3)), 'keypoints': np.full((1, 2, 3), 'a')}, 'keypoints of frame 0 are not lists'),
    ({}, 'holds no person'),
    ({'positions_2d': {'v': [1]}}, 'not a dict of videos'),
    ({'positions_2d': {}}, 'choose with --sequence one of none'),
    ({'positions_2d': {'v': {'custom': ['x']}}}, 'not an array of numbers'),
])
def test_damaged_arrays_get_one_sentence(tmp_path, entries, sentence):
    path = str(tmp_path / 'x.npz')
    npz.write_npz(path, **entries)
    with pytest.raises(UserError, match=sentence):
        read_detections(path)


def test_a_sentence_about_an_endless_value_ends(tmp_path):
    person = {'image_id': 10 ** 2000, 'keypoints': [1.0] * 51, 'category_id': 1}
    (tmp_path / 'x.json').write_text(json.dumps({'images': [{'id': 1}], 'annotations': [person]}))
    with pytest.raises(UserError, match=r'which is not among the images') as caught:
        read_detections(str(tmp_path / 'x.json'))
    assert len(str(caught.value)) < 1000


def test_wrong_files_and_folders_get_one_sentence(tmp_path, walker):
    coco = write(tmp_path, 'coco', [spread(walker, 'coco17')])
    empty = tmp_path / 'empty'
    empty.mkdir()
    cases = [(tmp_path / 'none.json', None, 'is missing'), (empty, None, 'has no .json, .txt or .npy files'),
             (coco, 'detectron2', 'is not a detectron2 file'),
             (tmp_path, None, 'give the file instead of the folder')]
    (tmp_path / 'x.npy').write_bytes(b'\x93NUMPY')
    cases += [(tmp_path / 'x.npy', None, 'not a readable .npy')]
    for path, format, sentence in cases:
        with pytest.raises(UserError, match=sentence):
            read_detections(str(path), format)
    with pytest.raises(UserError, match='holds one sequence: leave --sequence out'):
        read_detections(str(coco), sequence='clip.mp4')


def test_a_folder_of_mixed_files_is_refused(tmp_path, walker):
    path = write(tmp_path, 'openpose', [spread(walker, 'body25')])
    (path / 'clip_000000000009_keypoints.json').write_text(json.dumps(walker.tolist()))
    with pytest.raises(UserError,
            match=r'clip_000000000009_keypoints\.json has 16 joints, and other files of the folder 25'):
        read_detections(str(path))
