"""Makes files as detectors write them, from 16-joint keypoints: each layout, and each format true to its schema."""

import json
from functools import cache

import numpy as np

from common.datasets import h36m
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera

COCO_LIKE = ('coco', 'alphapose', 'mmpose_video', 'mmpose_demo', 'ultralytics', 'ultralytics_track', 'videopose3d',
             'detectron2')
FORMATS = (*COCO_LIKE, 'openpose', 'mmpose_image', 'ultralytics_image', 'npy', 'npz')


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


def as_persons(joints, scores):
    """(T, J, 2) and (T, J) to the flat lists x, y, s of each frame."""
    return np.concatenate([joints, scores[..., None]], axis=-1).reshape(len(joints), -1).tolist()


def box_of(joints):
    low, high = joints.min(0), joints.max(0)
    return [float(value) for value in (*low, *high)]


def write(folder, format, people, scores=None, ids=None):
    """Write people, each (T, J, 2), as a detector would; gives the path.

    Args:
        ids: of each person, for formats that have them.
    """
    scores = [np.full(person.shape[:2], 0.9) for person in people] if scores is None else scores
    frames = len(people[0])
    path = folder / f'{format}.json'
    if format in ('coco', 'alphapose'):
        entries = []
        for frame in range(frames):
            for index, (person, score) in enumerate(zip(people, scores)):
                x1, y1, x2, y2 = box_of(person[frame])
                entry = {'image_id': frame, 'category_id': 1, 'score': 0.95,
                         'keypoints': as_persons(person[frame:frame + 1], score[frame:frame + 1])[0]}
                if format == 'alphapose':
                    entry |= {'image_id': f'{frame}.jpg', 'score': 2.9, 'box': [x1, y1, x2 - x1, y2 - y1],
                              'idx': ids[index] if ids else index + 1}
                entries.append(entry)
        path.write_text(json.dumps(entries))
    elif format == 'openpose':
        path = folder / 'openpose'
        path.mkdir()
        for frame in range(frames):
            found = [{'person_id': [-1], 'pose_keypoints_2d': as_persons(person[frame:frame + 1],
                                                                        score[frame:frame + 1])[0],
                      'face_keypoints_2d': [], 'hand_left_keypoints_2d': [], 'hand_right_keypoints_2d': [],
                      'pose_keypoints_3d': []} for person, score in zip(people, scores)]
            (path / f'clip_{frame:012d}_keypoints.json').write_text(json.dumps({'version': 1.3, 'people': found}))
    elif format.startswith('mmpose'):
        content = [{'frame_id': frame, 'instances': [
            {'keypoints': person[frame].tolist(), 'keypoint_scores': score[frame].tolist(),
             'bbox': [box_of(person[frame])], 'bbox_score': 0.93} for person, score in zip(people, scores)]}
            for frame in range(frames)]
        if format == 'mmpose_image':
            content = content[0]['instances']
        elif format == 'mmpose_demo':
            content = {'meta_info': {'dataset_name': 'coco', 'num_keypoints': people[0].shape[1]},
                       'instance_info': content}
        path.write_text(json.dumps(content))
    elif format.startswith('ultralytics'):
        content = []
        for frame in range(frames):
            ball = {'x1': 0, 'y1': 0, 'x2': 9, 'y2': 9}
            found = [{'name': 'sports ball', 'class': 32, 'confidence': 0.4, 'box': ball}]
            for index, (person, score) in enumerate(zip(people, scores)):
                box = dict(zip(('x1', 'y1', 'x2', 'y2'), box_of(person[frame])))
                entry = {'name': 'person', 'class': 0, 'confidence': 0.88, 'box': box, 'keypoints': {
                    'x': person[frame, :, 0].tolist(), 'y': person[frame, :, 1].tolist(),
                    'visible': score[frame].tolist()}}
                found.append(entry | ({'track_id': ids[index] if ids else index + 1} if 'track' in format else {}))
            content.append(found)
        path.write_text(json.dumps(content[0] if format == 'ultralytics_image' else content))
    else:
        path = folder / (f'{format}.npz' if format != 'npy' else 'plain.npy')
        _write_arrays(path, format, people, scores)
    return path


def _write_arrays(path, format, people, scores):
    if format in ('videopose3d', 'npy', 'npz'):
        assert len(people) == 1
    if format == 'npy':
        np.save(path, np.concatenate([people[0], scores[0][..., None]], axis=-1))
    elif format == 'npz':
        np.savez(path, keypoints=people[0], scores=scores[0])
    elif format == 'videopose3d':
        meta = {'layout_name': 'coco', 'num_joints': 17, 'keypoints_symmetry': [[1, 3], [2, 4]],
                'video_metadata': {'clip.mp4': {'w': 1000, 'h': 1000}}}
        npz.write_npz(str(path), positions_2d={'clip.mp4': {'custom': [people[0].astype(np.float32)]}}, metadata=meta)
    elif format == 'detectron2':
        boxes, keypoints = np.empty((2, len(people[0]), 2), object)
        for frame in range(len(people[0])):
            boxes[frame, 0], keypoints[frame, 0] = [], []
            boxes[frame, 1] = np.array([[*box_of(person[frame]), 0.99] for person in people], np.float32)
            keypoints[frame, 1] = np.stack([np.stack([person[frame, :, 0], person[frame, :, 1],
                                                      np.zeros(person.shape[1]), score[frame]])
                                            for person, score in zip(people, scores)]).astype(np.float32)
        npz.write_npz(str(path), boxes=boxes, keypoints=keypoints, segments=np.array([None] * len(boxes)),
                      metadata={'w': 1000, 'h': 1000})
    else:
        raise ValueError(format)
