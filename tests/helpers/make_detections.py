"""Files as detectors write them, each true to its tool's schema, and the demo's people in a camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets import h36m
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.geometry.detector_layouts import COCO_17, LAYOUTS

SIZE = (1000, 1000)
People = Sequence[np.ndarray]  # each (T, J, 2) pixels; scores (T, J)
COCO_LIKE = ('coco', 'alphapose', 'mmpose_video', 'mmpose_demo', 'ultralytics', 'ultralytics_track', 'videopose3d',
             'detectron2')
# Further formats, with the layout that their tools write.
MORE = {'coco_dataset': 'coco17', 'alphapose_merged': 'coco17', 'alphapose_open': 'coco18', 'openpose_old': 'coco18',
        'openpose_body25b': 'body25b', 'mediapipe': 'mediapipe33', 'mediapipe_frames': 'mediapipe33',
        'mediapipe_npy': 'mediapipe33', 'mediapipe_rows': 'mediapipe33', 'mediapipe_csv': 'mediapipe33',
        'landmarks_csv': 'mediapipe33', 'tensorflow_js': 'coco17', 'ultralytics_txt': 'coco17', 'vitpose': 'coco17',
        'deeplabcut': 'coco17', 'trc': 'halpe26', 'people_npy': 'coco17', 'rtmlib': 'coco17',
        'wholebody': 'wholebody133', 'halpe136': 'halpe136'}


def write(folder: Path, format: str, people: People, scores: People | None = None,
          ids: Sequence[Any] | None = None) -> Path:
    """Write people in one of these formats; returns the path of the file or folder.

    Args:
        ids: of each person, for formats that have them.
    """
    scores = [np.full(person.shape[:2], 0.9) for person in people] if scores is None else scores
    frames = range(len(people[0]))
    if format in _ARRAYS:
        path = folder / ('plain.npy' if format == 'npy' else f'{format}.{_ARRAYS[format]}')
        _write_arrays(path, format, people, scores)
        return path
    if format in ('openpose', 'openpose_body25b', 'openpose_old'):
        path = folder / format
        path.mkdir()
        key = 'pose_keypoints' if format == 'openpose_old' else 'pose_keypoints_2d'
        for frame in frames:
            found = [{'person_id': [-1], key: _flat(person, score, frame), 'face_keypoints_2d': [],
                      'hand_left_keypoints_2d': [], 'hand_right_keypoints_2d': [], 'pose_keypoints_3d': []}
                     for person, score in zip(people, scores)]
            (path / f'clip_{frame:012d}_keypoints.json').write_text(json.dumps({'version': 1.3, 'people': found}))
        return path
    if format == 'ultralytics_txt':
        path = folder / 'labels'
        path.mkdir()
        for frame in frames:
            lines = [_label(person[frame], score[frame], index)
                     for index, (person, score) in enumerate(zip(people, scores))]
            (path / f'clip_{frame + 1}.txt').write_text('\n'.join(lines) + '\n')
        return path
    if format in _TABLES:
        path = folder / f'{format}.{"trc" if format == "trc" else "csv"}'
        path.write_text(_TABLES[format](people[0], scores[0]))
        return path
    path = folder / f'{format}.json'
    path.write_text(json.dumps(_JSON[format](people, scores, ids)))
    return path


def _flat(person: np.ndarray, score: np.ndarray, frame: int) -> list[float]:
    return np.concatenate([person[frame], score[frame][:, None]], axis=-1).reshape(-1).tolist()


def _box(joints: np.ndarray) -> list[float]:
    return [float(value) for value in (*joints.min(0), *joints.max(0))]


def _results(people: People, scores: People, ids: Any) -> list[dict]:
    return [{'image_id': frame, 'category_id': 1, 'score': 0.95, 'keypoints': _flat(person, score, frame)}
            for frame in range(len(people[0])) for person, score in zip(people, scores)]


def _alphapose(people: People, scores: People, ids: Any) -> list[dict]:
    made = []
    for frame in range(len(people[0])):
        for index, (person, score) in enumerate(zip(people, scores)):
            x1, y1, x2, y2 = _box(person[frame])
            made.append({'image_id': f'{frame}.jpg', 'category_id': 1, 'keypoints': _flat(person, score, frame),
                         'score': 2.9, 'box': [x1, y1, x2 - x1, y2 - y1], 'idx': ids[index] if ids else index + 1})
    return made


def _alphapose_merged(people: People, scores: People, ids: Any) -> list[dict]:
    return [{**entry, 'idx': [[float(entry['idx'])], [float(entry['idx'])]]}
            for entry in _alphapose(people, scores, ids)]


def _alphapose_open(people: People, scores: People, ids: Any) -> dict:
    return {f'{frame}.jpg': {'version': 'AlphaPose v0.3', 'people': [
        {'pose_keypoints_2d': _flat(person, score, frame)} for person, score in zip(people, scores)]}
        for frame in range(len(people[0]))}


def _dataset(people: People, scores: People, ids: Any) -> dict:
    frames = range(len(people[0]))
    annotations = [{'id': index, 'image_id': frame, 'category_id': 1, 'track_id': place, 'num_keypoints': 17,
                    'keypoints': _flat(person, np.full(score.shape, 2.0), frame)}
                   for index, (frame, place, person, score) in enumerate(
                       (frame, place, *pair) for frame in frames for place, pair in enumerate(zip(people, scores)))]
    return {'images': [{'id': frame, 'file_name': f'{frame:04d}.jpg', 'width': SIZE[0], 'height': SIZE[1]}
                       for frame in frames], 'annotations': annotations,
            'categories': [{'id': 1, 'name': 'person', 'keypoints': list(COCO_17), 'skeleton': []}]}


def _mmpose_video(people: People, scores: People, ids: Any) -> list[dict]:
    return [{'frame_id': frame, 'instances': [
        {'keypoints': person[frame].tolist(), 'keypoint_scores': score[frame].tolist(), 'bbox': [_box(person[frame])],
         'bbox_score': 0.93} for person, score in zip(people, scores)]} for frame in range(len(people[0]))]


def _mmpose_demo(people: People, scores: People, ids: Any) -> dict:
    return {'meta_info': {'dataset_name': 'coco', 'num_keypoints': people[0].shape[1]},
            'instance_info': _mmpose_video(people, scores, ids)}


def _ultralytics(people: People, scores: People, ids: Any, track: bool = False) -> list[list[dict]]:
    content = []
    for frame in range(len(people[0])):
        found: list[dict] = [{'name': 'sports ball', 'class': 32, 'confidence': 0.4,
                              'box': {'x1': 0, 'y1': 0, 'x2': 9, 'y2': 9}}]
        for index, (person, score) in enumerate(zip(people, scores)):
            x, y = person[frame].T.tolist()
            found.append({'name': 'person', 'class': 0, 'confidence': 0.88,
                          'box': dict(zip(('x1', 'y1', 'x2', 'y2'), _box(person[frame]))),
                          'keypoints': {'x': x, 'y': y, 'visible': score[frame].tolist()},
                          **({'track_id': ids[index] if ids else index + 1} if track else {})})
        content.append(found)
    return content


def _landmarks(people: People, scores: People, ids: Any) -> list[list[dict]]:
    return [[{'x': x / SIZE[0], 'y': y / SIZE[1], 'z': -0.1, 'visibility': score}
             for (x, y), score in zip(people[0][frame].tolist(), scores[0][frame].tolist())]
            for frame in range(len(people[0]))]


def _mediapipe_frames(people: People, scores: People, ids: Any) -> dict:
    return {'fps': 25, 'frames': [{'frame': frame, 'landmarks': marks}
                                  for frame, marks in enumerate(_landmarks(people, scores, ids))]}


def _tensorflow_js(people: People, scores: People, ids: Any) -> list[list[dict]]:
    return [[{'score': 0.8, 'keypoints': [{'x': x, 'y': y, 'score': s, 'name': name} for (x, y), s, name in zip(
        person[frame].tolist(), score[frame].tolist(), COCO_17)]} for person, score in zip(people, scores)]
        for frame in range(len(people[0]))]


def _vitpose(people: People, scores: People, ids: Any) -> dict:
    return {'keypoints': [{str(index): np.column_stack([person[frame, :, ::-1], score[frame]]).tolist()
                           for index, (person, score) in enumerate(zip(people, scores))}
                          for frame in range(len(people[0]))],
            'skeleton': {str(joint): name for joint, name in enumerate(COCO_17)}}


_JSON: dict[str, Callable[[People, People, Any], Any]] = {
    'coco': _results, 'alphapose': _alphapose, 'alphapose_merged': _alphapose_merged, 'alphapose_open': _alphapose_open,
    'coco_dataset': _dataset, 'mmpose_video': _mmpose_video, 'mmpose_demo': _mmpose_demo,
    'mmpose_image': lambda people, scores, ids: _mmpose_video(people, scores, ids)[0]['instances'],
    'ultralytics': _ultralytics,
    'ultralytics_image': lambda people, scores, ids: _ultralytics(people, scores, ids)[0],
    'ultralytics_track': lambda people, scores, ids: _ultralytics(people, scores, ids, track=True),
    'mediapipe': _landmarks, 'mediapipe_frames': _mediapipe_frames, 'tensorflow_js': _tensorflow_js,
    'vitpose': _vitpose, 'halpe136': _results}


def _label(joints: np.ndarray, scores: np.ndarray, index: int) -> str:
    points = np.column_stack([joints / SIZE, scores]).reshape(-1)
    return ' '.join(['0 0.5 0.5 0.3 0.8', *(f'{value:g}' for value in points), '0.91', str(index + 1)])


def _deeplabcut(person: np.ndarray, score: np.ndarray) -> str:
    rows = [['scorer', *['DLC'] * 51], ['bodyparts', *(name for name in COCO_17 for _ in range(3))],
            ['coords', *['x', 'y', 'likelihood'] * 17]]
    return _rows(rows + [[frame, *_flat(person, score, frame)] for frame in range(len(person))], ',')


def _trc(person: np.ndarray, score: np.ndarray) -> str:
    """As Sports2D: names like LShoulder, units of m beside pixels."""
    names = [''.join(word.capitalize() for word in name.replace('left_', 'L_').replace('right_', 'R_').split('_'))
             for name in LAYOUTS['halpe26'].joint_names]
    values = np.concatenate([person, np.zeros((*score.shape, 1))], axis=-1)
    head: list[list[Any]] = [['PathFileType', '4', '(X/Y/Z)', 'clip_px_person00.trc'],
            ['DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units', 'OrigDataRate', 'OrigDataStartFrame',
             'OrigNumFrames'], [30, 30, len(person), 26, 'm', 30, 0, len(person)],
            ['Frame#', 'Time', *(part for name in names for part in (name, '', ''))],
            ['', '', *(f'{axis}{joint + 1}' for joint in range(26) for axis in 'XYZ')]]
    body = [[frame, frame / 30, *values[frame].reshape(-1).tolist()] for frame in range(len(person))]
    return _rows(head + body, '\t')


def _mediapipe_csv(person: np.ndarray, score: np.ndarray) -> str:
    values = np.concatenate([person / SIZE, np.full((*score.shape, 1), -0.1), score[..., None]], axis=-1)
    names = LAYOUTS['mediapipe33'].joint_names
    head = ['frame', *(f'{name.upper()}_{axis}' for name in names for axis in ('x', 'y', 'z', 'visibility'))]
    return _rows([head, *([frame, *values[frame].reshape(-1).tolist()] for frame in range(len(person)))], ',')


def _landmarks_csv(person: np.ndarray, score: np.ndarray) -> str:
    rows = [[frame, joint, *(person[frame, joint] / SIZE).tolist(), -0.1, score[frame, joint]]
            for frame in range(len(person)) for joint in range(person.shape[1])]
    return _rows([['frame', 'landmark_index', 'x', 'y', 'z', 'visibility'], *rows], ',')


def _rows(rows: Sequence[Sequence[Any]], delimiter: str) -> str:
    return ''.join(delimiter.join(map(str, row)) + '\n' for row in rows)


_TABLES = {'deeplabcut': _deeplabcut, 'trc': _trc, 'mediapipe_csv': _mediapipe_csv, 'landmarks_csv': _landmarks_csv}
_ARRAYS = {'npy': 'npy', 'videopose3d': 'npz', 'detectron2': 'npz', 'mediapipe_npy': 'npy',
           'mediapipe_rows': 'npy', 'people_npy': 'npy', 'rtmlib': 'npz', 'wholebody': 'npy'}


def _write_arrays(path: Path, format: str, people: People, scores: People) -> None:
    scored = [np.concatenate([person, score[..., None]], axis=-1) for person, score in zip(people, scores)]
    if format in ('npy', 'wholebody'):
        np.save(path, scored[0])
    elif format == 'people_npy':
        np.save(path, np.stack(scored, axis=1))
    elif format == 'rtmlib':
        np.savez(path, keypoints=np.stack(people, axis=1), scores=np.stack(scores, axis=1))
    elif format in ('mediapipe_npy', 'mediapipe_rows'):
        marks = np.insert(scored[0] / [*SIZE, 1], 2, -0.1, axis=-1)
        np.save(path, marks if format == 'mediapipe_npy' else marks.reshape(len(marks), -1))
    elif format == 'videopose3d':
        meta = {'layout_name': 'coco', 'num_joints': 17, 'keypoints_symmetry': [[1, 3], [2, 4]],
                'video_metadata': {'clip.mp4': {'w': SIZE[0], 'h': SIZE[1]}}}
        npz.write_npz(str(path), positions_2d={'clip.mp4': {'custom': [people[0].astype(np.float32)]}}, metadata=meta)
    else:
        boxes, keypoints = np.empty((2, len(people[0]), 2), object)
        for frame in range(len(people[0])):
            boxes[frame, 0], keypoints[frame, 0] = [], []
            boxes[frame, 1] = np.array([[*_box(person[frame]), 0.99] for person in people], np.float32)
            keypoints[frame, 1] = np.stack([np.insert(person[frame], 2, 0, axis=-1) for person in scored]).transpose(
                0, 2, 1).astype(np.float32)
        npz.write_npz(str(path), boxes=boxes, keypoints=keypoints, segments=np.array([None] * len(boxes)),
                      metadata={'w': SIZE[0], 'h': SIZE[1]})


@cache
def demo_person():
    """{action: (T, 16, 3)} of the demo's S9, world coordinates; made once for all tests."""
    from data.prepare_data_demo import make_demo
    return {action: take[:, h36m.KEPT_JOINTS] for action, take in make_demo()['S9'].items()}


def demo_walking(camera=0):
    """(T, 16, 2) pixels of the demo's S9 walking, as a camera of 1000x1000 sees it."""
    seen_by = h36m.cameras()['S9'][camera]
    seen = project(world_to_camera(demo_person()['Walking'], seen_by), seen_by)
    return image_coordinates(seen.astype(float), 1000, 1000)
