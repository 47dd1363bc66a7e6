"""Targets of the fuzzing: files of 2D detectors, read and lifted as predict.py does."""

import os
import pickle
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from common.geometry.detector_layouts import COCO_17
from common.lifting import prediction
from common.lifting.options import Options
from tests.fuzzing.npz import checkpoint
from tests.fuzzing.target import Target
from tests.helpers.layouts import spread
from tests.helpers.make_damage import damage, damage_entries, damage_json, npz_of, pickled_entries
from tests.helpers.make_detections import COCO_LIKE, MORE, demo_walking, write
from tests.helpers.make_structures import structures

FRAMES = 'clip_{:012d}_keypoints.json'  # of OpenPose


def targets() -> list[Target]:
    formats = [format for format in COCO_LIKE if format not in ('videopose3d', 'detectron2')]
    return [
        *(Target(f'json, {format}', 'x.json', lambda format=format: [seed(format)], lift, damage=damage_json)
          for format in [*formats, 'mmpose_image', 'ultralytics_image']),
        Target('json, openpose', FRAMES.format(1), lambda: [seed('openpose')], lambda path: lift(os.path.dirname(path)),
               damage=damage_json, beside=lambda: {FRAMES.format(0): seed('openpose')}),
        Target('npz, detections', 'x.npz', arrays, lift, npz_of, damage_entries),
        *(Target(f'json, {format}', 'x.json', lambda format=format: [seed(format)], lift, damage=damage_json)
          for format in ('coco_dataset', 'alphapose_merged', 'alphapose_open', 'mediapipe', 'mediapipe_frames',
                         'tensorflow_js', 'vitpose', 'halpe136')),
        *(Target(f'table, {format}', f'x.{suffix}', lambda format=format: [seed(format)], lift)
          for format, suffix in (('deeplabcut', 'csv'), ('mediapipe_csv', 'csv'), ('landmarks_csv', 'csv'),
                                 ('trc', 'trc'), ('ultralytics_txt', 'txt'))),
        *(Target(f'structure, {suffix}', f'x.{suffix}', lambda suffix=suffix: structure_seeds(suffix), lift,
                 damage=damage_json if suffix == 'json' else damage) for suffix in ('json', 'jsonl', 'pkl', 'h5',
                 'npy')),
        Target('structure, lines of a table', 'x.csv', lambda: tables(), lift),
        Target('npy, several people', 'x.npy', lambda: [seed('people_npy'), seed('mediapipe_rows')], lift),
    ]


@cache
def person() -> np.ndarray:
    return demo_walking()[:5].round(1)


def seed(format: str) -> bytes:
    """Two people in the frames of a file, of OpenPose in one."""
    joints = spread(person(), MORE.get(format, 'body25' if format == 'openpose' else 'coco17'))
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), format, [joints, joints + (200.0, 0.0)])
        return (next(path.iterdir()) if path.is_dir() else path).read_bytes()


def arrays() -> list[bytes]:
    """VideoPose3D's two kinds, and plain ones."""
    joints = spread(person(), 'coco17').astype(np.float32)
    frames = [[[], np.concatenate([joints[:1].transpose(0, 2, 1), np.ones((1, 2, 17), np.float32)], 1)]] * 5
    boxes = [[[], np.array([[0, 0, 9, 9, 0.99]], np.float32)]] * 5
    size = {'w': 1000, 'h': 1000}
    return [
        pickled_entries(positions_2d={'clip.mp4': {'custom': [joints]}},
                        metadata={'layout_name': 'coco', 'video_metadata': {'clip.mp4': size}}),
        pickled_entries(boxes=boxes, keypoints=frames, metadata=size),
        pickled_entries(keypoints=spread(person(), 'body25'), scores=np.ones((5, 25)), frames=np.arange(5)),
    ]


def structure_seeds(suffix: str) -> list[bytes]:
    """Files of many tools, and some that are nested deep or hold themselves."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = [structure.write(Path(folder)).read_bytes() for structure in structures().values()
                 if structure.suffix == suffix]
    if suffix == 'json':
        seeds += [b'[' * 90 + b']' * 90, b'{"people":' * 50 + b'[]' + b'}' * 50]
    if suffix == 'pkl':
        itself: list[object] = [[1.0] * 51]
        itself.append(itself)
        seeds.append(pickle.dumps({'keypoints': itself}))
    return seeds


def tables() -> list[bytes]:
    """Tables as people have them: with several people, times, cells, and without a header."""
    joints = spread(person(), 'coco17')
    head = [f'person{who}_{name}_{axis}' for who in range(2) for name in COCO_17 for axis in 'xy']
    rows = [np.concatenate([points.ravel(), points.ravel() + 300]) for points in joints]
    return ['\n'.join([sign.join(['time', *head]), *(sign.join(map(str, [index / 30, *row])) for index,
        row in enumerate(
        rows))]).encode(encoding) for sign, encoding in ((',', 'utf-8'), (';', 'utf-16'))] + [
        '\n'.join(','.join(map(str, row[:34])) for row in rows).encode(),
        '\n'.join(['frame,id,x,y', *(f'{frame},{joint},{x},{y}' for frame, points in enumerate(joints) for joint, (
            x, y) in enumerate(points.tolist()))]).encode(),
        '\n'.join([','.join(COCO_17), *(','.join(f'"[{x}, {y}]"' for x, y in points.tolist())
        for points in joints)]).encode()]


@cache
def model() -> str:
    path = os.path.join(tempfile.mkdtemp(), 'model.pth.tar')
    checkpoint().save(path)
    return path


def lift(path: str) -> None:
    """Read, follow, correct and lift everybody, as `predict.py` does, and write it."""
    folder = os.path.join(os.path.dirname(model()), 'out')
    prediction.run(Options(checkpoint=model(), device='cpu', input=path, output=os.path.join(folder, 'x.json'),
                           bvh=os.path.join(folder, 'x.bvh'), size=(1000, 1000), center_crop=True))
