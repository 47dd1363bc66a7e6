"""Files of many tools and habits, made after how each writes: one or two people whose pixels are known."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from common.geometry.detector_layouts import COCO_17, MEDIAPIPE_33
from tests.helpers.layouts import spread
from tests.helpers.make_detections import demo_walking

FRAMES = 12


@dataclass(frozen=True)
class Structure:
    """A file, and what is in it.

    Attributes:
        content: JSON values, lines of them, an array, an object to pickle, or a function that writes a path.
        points: (T, J, 2) of the first person.
        people: in each frame.
        suffix: of the file; `jsonl` writes a line for each entry, `/` a folder with a file for each.
    """

    content: Any
    points: np.ndarray
    people: int = 1
    suffix: str = 'json'

    def write(self, folder: Path) -> Path:
        """Write the file; returns its path."""
        path = folder / f'k.{self.suffix}'
        if callable(self.content):
            self.content(path)
        elif self.suffix == '/':
            path = folder / 'frames'
            path.mkdir()
            for index, each in enumerate(self.content):
                (path / f'{index:06d}.jpg.predictions.json').write_text(json.dumps(each))
        elif self.suffix == 'npy':
            np.save(path, self.content)
        elif self.suffix == 'pkl':
            path.write_bytes(pickle.dumps(self.content))
        elif self.suffix == 'jsonl':
            path.write_text('\n'.join(map(json.dumps, self.content)))
        else:
            path.write_text(json.dumps(self.content))
        return path


def _camel(name: str) -> str:
    return ''.join(word.title() if place else word for place, word in enumerate(name.split('_')))


def _objects(points: np.ndarray, scores: np.ndarray, score: str = 'score') -> list[dict[str, Any]]:
    return [{'x': x, 'y': y, score: value, 'name': name}
            for (x, y), value, name in zip(points.tolist(), scores.tolist(), COCO_17)]


def _positions(points: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    return [{'score': value, 'part': _camel(name), 'position': {'x': x, 'y': y}}
            for (x, y), value, name in zip(points.tolist(), scores.tolist(), COCO_17)]


@cache
def structures() -> dict[str, Structure]:
    """{name: file}."""
    rng = np.random.default_rng(0)
    walking = demo_walking(2)[:FRAMES]
    one = spread(walking, 'coco17').round(1)
    scores = rng.uniform(0.6, 0.98, one.shape[:2]).round(2)
    other, marks, eighteen = one + (300, 10), spread(walking, 'mediapipe33').round(1), spread(walking,
        'coco18').round(1)
    flat = [np.column_stack([points, each]).ravel().tolist() for points, each in zip(one, scores)]
    scored = [np.column_stack([points, each]).tolist() for points, each in zip(one, scores)]
    scored_other = [np.column_stack([points, each]).tolist() for points, each in zip(other, scores)]
    both = list(zip(scored, scored_other))
    frames = range(FRAMES)
    some = [[joint for joint in range(17) if frame % 3 or joint not in (3, 9)] for frame in frames]
    gappy = one.copy()
    gappy[::3, [3, 9]] = np.nan
    without_16 = np.where(np.arange(18)[:, None] == 16, np.nan, eighteen)

    def predictions(frame: int, *people: np.ndarray) -> list[dict[str, Any]]:
        return [{'x': 1, 'y': 2, 'width': 3, 'height': 4, 'confidence': 0.9, 'class': 'person', 'class_id': 0,
            'keypoints': [
            {'x': points[frame, joint, 0], 'y': points[frame, joint, 1], 'confidence': 0.8, 'class_id': joint,
             'class': COCO_17[joint]} for joint in some[frame]]} for points in people]

    return {
        'posenet': Structure([{'score': 0.9, 'keypoints': _positions(one[frame], scores[frame])} for frame in frames],
        one),
        'ml5 poseNet': Structure([[{'pose': {'score': 0.9, 'keypoints': _positions(one[frame], scores[frame]), **{
            _camel(name): {'x': x, 'y': y, 'confidence': 0.9} for (x, y), name in zip(one[frame].tolist(), COCO_17)}},
            'skeleton': [_positions(one[frame], scores[frame])[:2]] * 6}] for frame in frames], one),
        'ml5 bodyPose': Structure([[{'keypoints': _objects(one[frame], scores[frame], 'confidence'), **{
            name: {'x': x, 'y': y, 'confidence': 0.9} for (x, y), name in zip(one[frame].tolist(), COCO_17)},
            'box': {'xMin': 1, 'yMin': 2, 'width': 3, 'height': 4, 'xMax': 4, 'yMax': 6}, 'confidence': 0.8, 'id': 1}]
            for frame in frames], one),
        'ML Kit': Structure({'frames': [{'timestamp': 33 * frame, 'landmarks': [
            {'type': joint, 'position': {'x': x, 'y': y}, 'position3D': {'x': x, 'y': y, 'z': -3.0},
             'inFrameLikelihood': 0.9} for joint, (x, y) in enumerate(marks[frame].tolist())]} for frame in frames]},
             marks),
        'ML Kit, Flutter': Structure([{f'PoseLandmarkType.{_camel(name)}': {'x': x, 'y': y, 'z': -4.0,
        'likelihood': 0.9}
                                       for (x, y), name in zip(points.tolist(), MEDIAPIPE_33)} for points in marks],
                                       marks),
        'Hugging Face': Structure([[{'scores': scores[frame][some[frame]].tolist(), 'labels': some[frame],
                                     'bbox': [1, 2, 3, 4], 'keypoints': one[frame][some[frame]].tolist()}]
                                   for frame in frames], gappy),
        'Roboflow': Structure([{'time': 0.05, 'image': {'width': 1000, 'height': 1000},
        'predictions': predictions(frame, one)}
                               for frame in frames], gappy),
        'Roboflow, video': Structure({'predictions': [{'frame_offset': frame,
        'predictions': predictions(frame, one, other)}
                                                      for frame in frames]}, gappy, 2),
        'supervision': Structure([{'frame': frame, 'xy': [one[frame].tolist(), other[frame].tolist()],
                                   'confidence': [scores[frame].tolist()] * 2, 'class_id': [0, 0]}
                                   for frame in frames], one, 2),
        'MMPose 0.x': Structure([[{'bbox': [1, 2, 3, 4, 0.9], 'keypoints': points, 'track_id': index}
                                  for index, points in enumerate(pair)] for pair in both], one, 2),
        'mmaction': Structure({'keypoint': np.stack([one, other]), 'keypoint_score': np.stack([scores, scores]),
                               'frame_dir': 'clip', 'label': 0, 'img_shape': (1080, 1920), 'total_frames': FRAMES},
                               one, 2, 'pkl'),
        'ST-GCN': Structure({'data': [{'frame_index': frame + 1, 'skeleton': [
            {'pose': (one[frame] / 1000).ravel().tolist(), 'score': scores[frame].tolist()}]} for frame in frames],
            'label': 'walking', 'label_index': 3}, one / 1000),
        'ST-GCN, array': Structure(np.concatenate([one, scores[..., None]], -1).transpose(2, 0, 1)[None, ..., None],
        one, 1,
                                   'npy'),
        'Sapiens': Structure([{'instance_info': [{'keypoints': points.tolist(), 'keypoint_scores': each.tolist()}]}
                              for points, each in zip(one, scores)], one, 1, '/'),
        'EasyMocap': Structure([{'filename': f'images/0/{frame:06d}.jpg', 'height': 1000, 'width': 1000,
        'isKeyframe': False,
                                 'annots': [{'bbox': [1, 2, 3, 4, 0.9], 'personID': 0, 'keypoints': scored[frame],
                                             'handl2d': scored[frame][:12] * 2}]} for frame in frames], one, 1, '/'),
        'OpenPifPaf': Structure([[{'keypoints': each, 'bbox': [1, 2, 3, 4], 'score': 0.9, 'category_id': 1}]
        for each in flat],
                                one, 1, '/'),
        'OpenPifPaf, video': Structure([{'frame': frame + 1, 'predictions': [
            {'keypoints': flat[frame], 'bbox': [1, 2, 3, 4], 'score': 0.8, 'category_id': 1, 'id_': 4}]}
            for frame in frames],
            one, 1, 'jsonl'),
        'ComfyUI': Structure([{'people': [{'pose_keypoints_2d': each, 'face_keypoints_2d': None,
                                           'hand_left_keypoints_2d': each + each[:12]}],
                               'canvas_height': 1000, 'canvas_width': 1000} for each in flat], one),
        'DeepStream': Structure([{'version': '4.0', 'id': str(frame), '@timestamp': f'2023-01-01T00:00:{frame:02d}Z',
                                  'sensorId': 'c', 'objects': ['7|1|2|3|4|Person|#|m|3|||.9|#|pose2D|' + '|'.join(
                                      f'{name.replace("_", "-")},{x:g},{y:g},{each:g}' for name, (x, y), each in zip(
                                          COCO_17, one[frame].tolist(), scores[frame].tolist()))]} for frame in frames],
                                one, 1, 'jsonl'),
        'Label Studio': Structure([{'id': 40 + frame, 'data': {'image': f'/d/img_{frame:03d}.png'}, 'annotations': [
            {'id': 90 + frame, 'result': [{
                'original_width': 1000, 'original_height': 1000, 'image_rotation': 0, 'type': 'keypointlabels',
                'id': str(joint),
                'from_name': 'kp', 'value': {'x': x / 10, 'y': y / 10, 'width': 0.5,
                'keypointlabels': [COCO_17[joint]]}}
                for joint, (x, y) in enumerate(one[frame].tolist())]}]} for frame in frames], one / 1000),
        'PoseTrack17': Structure({'annolist': [{'image': [{'name': f'images/b/{frame:05d}.jpg'}], 'annorect': [
            {'x1': [1], 'track_id': [2], 'annopoints': [{'point': [
                {'id': [number], 'x': [x], 'y': [y], 'score': [0.9]} for number, (x, y) in enumerate(
                    one[frame][[16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9, 0, 0, 0]].tolist())]}]}]}
                    for frame in frames]},
            one[:, [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]),
        'HumanArt': Structure({
            'images': [{'id': frame, 'file_name': f'v_{frame:04d}.jpg', 'width': 1000, 'height': 1000}
            for frame in frames],
            'annotations': [{'id': frame, 'image_id': frame, 'category_id': 1, 'num_keypoints': 17,
            'keypoints': np.column_stack(
                [one[frame], np.full(17, 2)]).ravel().tolist(), 'keypoints_21': [0] * 63} for frame in frames],
            'categories': [{'id': 1, 'name': 'person', 'keypoints': [*COCO_17, 'a', 'b', 'c', 'd']}]}, one),
        'tf-pose': Structure([[None if joint == 16 else point for joint, point in enumerate(points.tolist())]
                              for points in eighteen], without_16),
        'tf-pose, by number': Structure([{str(joint): point for joint, point in enumerate(points.tolist())
        if joint != 16}
                                         for points in eighteen], without_16),
        'frames as keys': Structure({str(frame): scored[frame] for frame in frames}, one),
        'arrays and scores': Structure({'keypoints': np.stack([one, other], 1).tolist(), 'fps': 25,
        'image_size': [1000, 1000],
                                        'scores': np.stack([scores, scores], 1).tolist()}, one, 2),
        'paths of joints': Structure({name: one[:, joint].tolist() for joint, name in enumerate(COCO_17)}, one),
        'joints by name': Structure([{name.upper(): [*point, 0.0, 0.9] for name,
        point in zip(MEDIAPIPE_33, points.tolist())}
                                     for points in marks], marks),
        'people in frames': Structure({f'frame_{frame}': {f'person_{index}': points for index,
        points in enumerate(pair)}
                                       for frame, pair in enumerate(both)}, one, 2),
        'frames of people': Structure({str(index): {f'{frame:04d}': {'keypoints': np.ravel(both[frame][index]).tolist(),
        'scores': None}
                                                    for frame in frames} for index in range(2)}, one, 2),
        'people by name': Structure({'Anna': one.tolist(), 'Bob': other.tolist()}, one, 2),
        'tracks': Structure({'tracks': [{'id': index, 'frames': [
            {'frame': frame, 'keypoints': points[frame].tolist()} for frame in frames]} for index, points in enumerate(
                (one, other))]}, one, 2),
        'body and world': Structure({'fps': 24, 'width': 1000, 'height': 1000, 'results': [
            {'frame_number': frame, 'pose_landmarks': [{'x': x / 1000, 'y': y / 1000, 'z': -0.1, 'visibility': 0.9}
                                                       for x, y in marks[frame].tolist()],
             'pose_world_landmarks': [{'x': 0.1, 'y': 0.2, 'z': 0.1, 'visibility': 0.9}] * 33} for frame in frames]},
            marks / 1000),
        'records': Structure([{'frame': frame, **{f'{name}_{axis}': one[frame, joint, place] for joint,
        name in enumerate(
            COCO_17) for place, axis in enumerate('xy')}} for frame in frames], one),
        'columns': Structure({f'{name}_{axis}': one[:, joint, place].tolist() for joint, name in enumerate(
            COCO_17) for place, axis in enumerate('xy')}, one),
        'face and hands': Structure([{'face_landmarks': [{'x': 0.1, 'y': 0.1, 'z': 0.0}] * 468, 'pose_landmarks': [
            {'x': x / 1000, 'y': y / 1000, 'z': -0.1, 'visibility': 0.9} for x, y in points.tolist()],
            'left_hand_landmarks': None} for points in marks], marks / 1000),
        'names beside': Structure({'keypoint_names': list(COCO_17[::-1]), 'keypoints': one[:, ::-1].tolist()}, one),
        'times': Structure([{'time': frame / 25, 'keypoints': scored[frame]} for frame in frames], one),
        'people first': Structure(np.stack([one, other]), one, 2, 'npy'),
        'coordinates first': Structure(one.transpose(0, 2, 1), one, 1, 'npy'),
        'DeepLabCut, h5': Structure(_deeplabcut(one, scores), one, 1, 'h5'),
        'SLEAP': Structure(_sleap(one, other, scores), one, 2, 'h5'),
    }


def _deeplabcut(points: np.ndarray, scores: np.ndarray) -> Callable[[Path], None]:
    """As pandas and PyTables write it: a table whose columns' names are a pickle."""
    def write(path: Path) -> None:
        columns = [('DLC', name, axis) for name in COCO_17 for axis in ('x', 'y', 'likelihood')]
        table = np.zeros(len(points), [('index', 'i8'), ('values_block_0', 'f8', (51,))])
        table['values_block_0'] = np.concatenate([points, scores[..., None]], -1).reshape(len(points), 51)
        with h5py.File(path, 'w') as file:
            made = file.create_group('df_with_missing').create_dataset('table', data=table)
            made.attrs['values_block_0_kind'] = np.bytes_(pickle.dumps(columns, 0))
    return write


def _sleap(one: np.ndarray, other: np.ndarray, scores: np.ndarray) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, 'w') as file:
            file['tracks'] = np.stack([one, other], -1).transpose(3, 2, 1, 0)  # people, x y, joints, frames
            file['node_names'], file['track_names'] = [name.encode() for name in COCO_17], [b'a', b'b']
            file['track_occupancy'], file['edge_inds'] = np.ones((len(one), 2), 'u1'), np.zeros((16, 2), int)
            file['point_scores'] = np.stack([scores, scores], -1).transpose(2, 1, 0)
            file['instance_scores'], file['edge_names'] = np.ones((2, len(one))), [[b'a', b'b']] * 16
    return write
