"""Files as real tools write them: each is recognised, comes back to its pixels, and to upright people."""

import json

import numpy as np
import pytest

import predict
from common.errors import UserError
from common.files import npz
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.detections import read_detections, sequence_names
from common.lifting.plausibility import infer_layout
from tests.helpers.layouts import spread
from tests.helpers.make_detections import COCO_LIKE, MORE, demo_walking, write
from tests.lifting.test_predict import lifted, model, run  # noqa: F401

FORMAT_OF = {'openpose': 'openpose', 'openpose_old': 'openpose', 'openpose_body25b': 'openpose',
    'alphapose_open': 'openpose',
             'mediapipe_csv': 'csv', 'landmarks_csv': 'csv', 'deeplabcut': 'csv', **{name: name for name in (
                 'coco_dataset', 'videopose3d', 'detectron2', 'ultralytics_txt', 'trc')},
             **dict.fromkeys(('mediapipe_npy', 'mediapipe_rows', 'rtmlib', 'people_npy', 'wholebody'), 'array')}
LAYOUT_OF = {**dict.fromkeys((*COCO_LIKE, 'mmpose_image', 'ultralytics_image'), 'coco17'), 'openpose': 'body25', **MORE}
ONE = ('mediapipe', 'mediapipe_frames', 'mediapipe_npy', 'mediapipe_rows', 'mediapipe_csv', 'landmarks_csv',
       'deeplabcut', 'trc', 'wholebody', 'videopose3d')


@pytest.fixture(scope='module')
def walking():
    return demo_walking(2)


@pytest.mark.parametrize('format', LAYOUT_OF)
def test_every_format_is_recognised_and_read(tmp_path, walking, format):
    name = LAYOUT_OF[format]
    joints = spread(walking, name)
    people = [joints] if format in ONE else [joints, joints + (200.0, 5.0)]
    path = str(write(tmp_path, format, people))
    found = read_detections(path)
    assert found.format == FORMAT_OF.get(format, 'keypoints') and not found.photos
    if format in COCO_LIKE:
        assert found.layout == 'coco17'
    size = found.size
    found, _ = found.scaled((1000, 1000))
    found, layout, _ = infer_layout(found)
    assert layout.name == {'mediapipe_csv': 'mediapipe33'}.get(format, name)
    assert len(found.people) == (1 if format.endswith('_image') else len(walking))
    used = sorted({joint for parts in layout.sources() for joint in parts})
    for place, everybody in enumerate(found.people.values()):
        assert len(everybody) == len(people)
        for person, joints in zip(everybody, people):
            np.testing.assert_allclose(person.keypoints[used], joints[place][used], atol=5e-3)
            assert 0.85 < person.scores[used].min() <= 1
    assert size == ((1000, 1000) if format in ('coco_dataset', 'videopose3d', 'detectron2') else None)
    assert found.fps == {'mediapipe_frames': 25, 'trc': 30}.get(format)
    tracks = {who.track for everybody in found.people.values() for who in everybody}
    assert tracks == {'coco_dataset': {'0', '1'}, 'vitpose': {'0', '1'}, **dict.fromkeys(
        ('alphapose', 'alphapose_merged', 'ultralytics_track', 'ultralytics_txt'), frozenset('12'))}.get(format, {None})


def test_empty_frames_hands_and_wrappers(tmp_path):
    hands = {'people': [{'pose_keypoints_2d': [], 'hand_left_keypoints_2d': [1.0] * 63}]}
    for frame, content in enumerate(({'people': []}, hands, {'people': [{'pose_keypoints_2d': [5.0] * 54}]})):
        (tmp_path / f'{frame}.json').write_text(json.dumps(content))
    assert [len(people) for people in read_detections(str(tmp_path)).people.values()] == [0, 0, 1]
    mark = {'x': 0.5, 'y': 0.4, 'z': -0.2, 'visibility': 0.9}
    for content, frames, people in (
            ([mark] * 33, 1, 1), ({'pose_landmarks': [mark] * 33}, 1, 1), ([[mark] * 33, [], None, [mark] * 33], 4, 2),
            ([[[mark] * 33, [mark] * 33]], 1, 2), ([{'frame': 3, 'landmarks': {'landmark': [mark] * 33}}], 1, 1)):
        (tmp_path / 'm.txt.json').write_text(json.dumps(content))
        found = read_detections(str(tmp_path / 'm.txt.json'))
        assert found.joints == 33 and len(found.people) == frames and sum(map(len, found.people.values())) == people


def test_a_column_with_negative_values_is_a_depth(tmp_path, walking):
    joints = np.concatenate([spread(walking, 'mediapipe33'), np.full((len(walking), 33, 1), -0.2)], -1)
    np.save(tmp_path / 'k.npy', joints)
    assert read_detections(str(tmp_path / 'k.npy')).people[0][0].scores.tolist() == [1] * 33


def test_posetrack_has_sequences_and_names(tmp_path, walking):
    joints = spread(walking, 'posetrack17')
    images, annotations = [], []
    for video in ('000342', '000522'):
        for frame in range(5):
            id = int(f'1{video}{frame:04d}')
            name = f'images/val/{video}_mpii_test/{frame:06d}.jpg'
            images.append({'id': id, 'vid_id': video, 'frame_id': id, 'file_name': name})
            flat = np.concatenate([joints[frame], np.ones((17, 1))], -1).reshape(-1).tolist()
            annotations.append({'image_id': id, 'track_id': 0, 'keypoints': flat, 'category_id': 1})
    names = ['nose', 'head_bottom', 'head_top', *LAYOUTS['posetrack17'].joint_names[3:]]
    path = str(tmp_path / 'x.json')
    (tmp_path / 'x.json').write_text(json.dumps({'images': images, 'annotations': annotations,
                                                 'categories': [{'name': 'person', 'keypoints': names}]}))
    assert sequence_names(path) == ['000342', '000522']
    with pytest.raises(UserError, match='--sequence one of 000342, 000522; --sequence all lifts each'):
        read_detections(path)
    found = read_detections(path, sequence='000522')
    assert found.layout == 'posetrack17' and not found.photos and len(found.people) == 5
    np.testing.assert_allclose(found.people[min(found.people)][0].keypoints, joints[0])


def results(ids, joints):
    return [{'image_id': id, 'category_id': 1, 'keypoints': np.insert(points, 2, 0.9, -1).ravel().tolist()}
            for id, points in zip(ids, joints)]


@pytest.mark.parametrize('ids, photos', [
    ([328, 330, 333, 336, 338, 341], True), ([139, 285, 632, 724], True), ([5, 900], True), (['a.jpg', 'b.jpg'], True),
    ([0, 1, 2, 5, 6], False), ([0, 5, 10, 25, 30], False), ([7], False), (['clip_1.jpg', 'clip_2.jpg'], False),
])
def test_pictures_far_apart_are_photographs(tmp_path, walking, ids, photos):
    (tmp_path / 'x.json').write_text(json.dumps(results(ids, spread(walking, 'coco17'))))
    assert read_detections(str(tmp_path / 'x.json')).photos == photos
    assert read_detections(str(tmp_path / 'x.json'), photos=not photos).photos != photos


def test_each_person_of_each_photograph_is_lifted_alone(run, model, walking, tmp_path):  # noqa: F811
    joints = spread(walking, 'coco17')
    images = [{'id': 7, 'file_name': 'party.jpg', 'width': 640, 'height': 480},
              {'id': 9, 'file_name': 'beach.jpg', 'width': 1000, 'height': 1000}]
    annotations = [{'image_id': 7, 'keypoints': entry['keypoints']} for entry in results([0, 0],
        joints[:2] * 0.4 + np.array([[[0]], [[200]]]))]
    annotations += [{'image_id': 9, 'keypoints': entry['keypoints']} for entry in results([0], joints[2:3])]
    (tmp_path / 'x.json').write_text(json.dumps({'images': images, 'annotations': annotations}))
    status, out, err = run('--checkpoint', model, '--input', 'x.json', '--output', 'o.npz', '--render', 'o.png',
                           '--viz_size', '1')
    assert status == 0 and '3 people of 2 photographs, 3 lifted' in out, err
    made = {path.name: dict(np.load(path)) for path in tmp_path.glob('o_*.npz')}
    assert made.keys() == {'o_party-0.npz', 'o_party-1.npz', 'o_beach.npz'}
    assert made['o_party-1.npz']['image_size'].tolist() == [640, 480]
    assert not any(entries['interpolated'].any() for entries in made.values())


def test_frames_counted_from_1_begin_with_the_first_of_the_video(tmp_path, walking):
    content = [{'frame_id': frame + 1, 'instances': [{'keypoints': points.tolist(), 'keypoint_scores': [0.9] * 17}]}
               for frame, points in enumerate(spread(walking, 'coco17')[:12])]
    (tmp_path / 'x.json').write_text(json.dumps(content))
    found = read_detections(str(tmp_path / 'x.json'))
    for frames, first in ((12, 0), (13, 1)):
        counted, note = found.counted_as(frames)
        assert min(counted.people) == first and bool(note) == (first == 0)
    labels = read_detections(str(write(tmp_path, 'ultralytics_txt', [spread(walking, 'coco17')])))
    assert min(labels.people) == 1 and min(labels.counted_as(500)[0].people) == 0  # the tool counts from 1


def test_every_sequence_is_lifted_when_all_are_asked_for(run, model, walking, tmp_path):  # noqa: F811
    view = spread(walking, 'coco17').astype(np.float32)
    npz.write_npz('d.npz', positions_2d={'a.mp4': {'custom': [view]}, 'b.mp4': {'custom': [view[:9]]}}, metadata={
        'layout_name': 'coco', 'video_metadata': {name: {'w': 1000, 'h': 1000} for name in ('a.mp4', 'b.mp4')}})
    status, _, err = run('--checkpoint', model, '--input', 'd.npz', '--sequence', 'all', '--output', 'o.npz')
    assert status == 0, err
    assert {path.name: len(np.load(path)['frames']) for path in tmp_path.glob('o*.npz')} == {
        'o_a.mp4.npz': len(view), 'o_b.mp4.npz': 9}


def test_framing_far_off_is_re_framed_and_that_is_said(run, model, walking, tmp_path):  # noqa: F811
    np.save(tmp_path / 'k.npy', walking * 0.2 + 400)
    arguments = ('k.npy', '--size', '1000x1000', '--layout', 'h36m16', '--no_smooth')
    far, _, err = lifted(run, model, *arguments)
    asked, _, quiet = lifted(run, model, *arguments, '--center_crop', 'yes')
    left, _, warned = lifted(run, model, *arguments, '--center_crop', 'no')
    assert 're-framed as --center_crop yes does; --center_crop no leaves it' in err and 're-framed' not in quiet
    np.testing.assert_array_equal(far['positions_3d'], asked['positions_3d'])
    assert 'try --center_crop' in warned and not np.allclose(left['positions_3d'], asked['positions_3d'])


def test_what_is_missing_is_named(run, model, walking, tmp_path):  # noqa: F811
    joints = np.insert(walking, 2, 0.9, axis=-1)
    joints[:, 14:, 2] = 0
    np.save(tmp_path / 'k.npy', joints)
    status, _, err = run('--checkpoint', model, '--input', 'k.npy', '--size', '1000x1000', '--layout', 'h36m16',
                         '--output', 'o.npz')
    assert status == 2 and 'Missing: right elbow (100%), right wrist (100%) of the frames' in err
    assert 'head' not in err


@pytest.mark.parametrize('name, text, sentence', [
    ('x.mat', 'x', 'is not read here. Read are .json, .jsonl'), ('x.h5', 'x', 'is not a readable HDF5 file'),
    ('x.csv', 'a,b\n1,2\n', 'its columns are a, b, and none are named like nose_x'),
    ('x.csv', '', 'has no rows'), ('x.csv', 'nose_x,nose_y\n1,2\n', 'are not a human body: left_shoulder'),
    ('x.csv', 'scorer,a\nbodyparts,nose\n0,1\n', 'no rows of bodyparts and coords'),
    ('x.trc', 'PathFileType\t4\n', 'header of five rows'), ('x.txt', '0 .5 .5 .1 .1 .9\n', 'Use a -pose model'),
    ('x.txt', '0 .5 .5 .1 .1' + ' 0.5' * 13, 'no class, box and joints'),
    ('x.json', '{"images": [{"id": 1}], "annotations": [{"image_id": 2, "keypoints": [1, 2, 2]}]}', 'of image 2'),
    ('x.json', '{"keypoints": [{"0": [[1, 2, 3]]}], "skeleton": {"0": "nose"}}', 'are a list of 3 values like 1, 2'),
    ('x.json', '[[{"x": 1, "y": 2}, 7]]', 'only the entries x, y'),
])
def test_damaged_files_get_one_sentence(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        read_detections(str(tmp_path / name))
    assert name in str(caught.value) and '\n' not in str(caught.value)


def test_a_trc_in_metres_is_turned_and_fills_the_image(tmp_path, walking):
    """Sports2D's metres have y up."""
    joints = spread(walking, 'halpe26')
    path = str(write(tmp_path, 'trc', [(joints - (500, 900)) / (500, -500)]))
    found, _ = read_detections(path).scaled((1920, 1080))
    keypoints = found.keypoints()
    assert found.fps == 30 and keypoints.min() > 0 and keypoints[..., 1].max() < 1080
    away = keypoints - joints * np.ptp(keypoints[:, 15, 0]) / np.ptp(joints[:, 15, 0])
    assert np.ptp(away, axis=(0, 1)).max() < 1e-3


def test_help_fits_on_a_screen():
    parser = predict.get_args_parser()
    short = parser.format_help()
    assert short.count('\n') <= 45 and '--help_all' in short and '--min_score' not in short
    parser.further.clear()
    assert '--min_score S' in parser.format_help() and '--center_crop auto|yes|no' in parser.format_help()
