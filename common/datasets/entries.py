"""The entries of a file `data_3d_<name>.npz` that describe it: skeleton, cameras, splits and rate.

`docs/datasets.md` describes the entries. A missing entry has Human3.6M's value.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from common.datasets import h36m
from common.datasets.checking.sides import check_names, check_tree, pairs_of_names
from common.datasets.mocap import DatasetSpec
from common.errors import UserError, listing, printable, warn
from common.geometry.camera import Camera, normalize_screen
from common.geometry.skeleton import Skeleton

SPLITS = ('train_subjects', 'test_subjects')
ENTRIES = ('fps', 'joints', 'parents', 'joints_left', 'joints_right', 'groups', 'cameras', 'image_size', 'pck_joints',
           'frame_numbers', *SPLITS)
LARGEST = 1 << 31  # frame number
LEVEL = np.sqrt((0.5, 0.5, 0, 0)) * (1, -1, 1, 1)  # orientation of a level camera that points along the world's y axis
VIEW = (0.2, 150.0)  # degrees, the smallest and largest field of view of a camera without a fisheye's projection
# A principal point within these pixels of the corner is in fractions or normalised. Crops may place it outside of the
# image, but not as many widths from the middle.
CORNER, FARTHEST_CENTER = 2.0, 5.0
AT_CORNER, OFF_MIDDLE = 0.05, 1.25  # the same in widths, for a warning
CAMERA_KEYS = {'width', 'height', 'focal_length', 'center', 'radial_distortion', 'tangential_distortion', 'R', 't',
               'azimuth', 'name'}


def describe(path: str, name: str, entries: dict[str, Any], subjects: list[str]) -> DatasetSpec:
    """The spec of a file.

    Args:
        entries: the file's entries with names in `ENTRIES`.
        subjects: the subjects with positions in the file; they may lack a camera.
    Raises:
        UserError: an entry is not as in `docs/datasets.md`, or no subject has a camera.
    """
    spec = h36m.spec(name)
    changes: dict[str, Any] = {}
    try:
        if 'fps' in entries:
            changes['fps'] = _fps(entries['fps'])
        if own := [entry for entry in ENTRIES[1:6] if entry in entries]:
            if not {'joints', 'parents'} <= set(own):
                raise ValueError(f'{listing(own)} need joints and parents beside them')
            changes['file_skeleton'] = _skeleton(path, entries)
            changes['skeleton'] = _root_first(changes['file_skeleton'])
        changes['pck_joints'] = tuple(dict.fromkeys(_texts(entries.get('pck_joints', ()))))
        if unknown := set(changes['pck_joints']) - set(changes.get('skeleton', spec.skeleton).names):
            raise ValueError(f'pck_joints names {listing(sorted(unknown))}, which are not joints of it')
        if 'frame_numbers' in entries:
            changes['frame_numbers'] = _frame_numbers(json.loads(_text(entries['frame_numbers'])))
        cameras, local = _cameras(entries, subjects)
        splits = {split: _texts(entries.get(split, ())) for split in SPLITS}
        if unknown := {subject for split in splits.values() for subject in split} - set(subjects):
            raise ValueError(f'its splits name {listing(sorted(unknown))}, of whom it has no positions')
        if not any(splits.values()):
            splits = {split: getattr(spec, split) for split in SPLITS}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f'{path}: {printable(error, 500)}; docs/datasets.md describes its entries.') from error
    if not cameras:
        raise UserError(f'{path} has no subject of the splits {listing(h36m.TRAIN_SUBJECTS + h36m.TEST_SUBJECTS)}, '
                        f'whose cameras are known; it has {listing(subjects) or "none"}. docs/datasets.md describes '
                        f'how a file brings its own cameras.')
    changes |= {split: tuple(subject for subject in names if subject in cameras) for split, names in splits.items()}
    return replace(spec, cameras=cameras, camera_coordinates=local, **changes)


def _fps(value: Any) -> float:
    number = value.item() if isinstance(value, np.ndarray) and not value.shape else value
    if type(number) not in (int, float) or not 1 <= number <= 1000:
        raise ValueError('fps must be one number from 1 to 1000')
    return float(number)


def _skeleton(path: str, entries: dict[str, Any]) -> Skeleton:
    names = _texts(entries['joints'])
    parents, left, right = (_numbers(entries.get(name, ())) for name in ('parents', 'joints_left', 'joints_right'))
    if len(set(names)) < len(names) or '' in names:
        raise ValueError('joints must name each joint differently')
    groups = json.loads(_text(entries['groups'])) if 'groups' in entries else []
    if not isinstance(groups, list):
        raise ValueError(f'groups are {printable(groups)} instead of a list of lists of joints')
    pairs = pairs_of_names(names)
    if pairs and not {'joints_left', 'joints_right'} & set(entries):
        left, right = (tuple(side) for side in zip(*pairs))
        warn(f'{path}: without joints_left and joints_right, sides are taken from the names: '
             f'{listing((f"{names[one]} and {names[two]}" for one, two in pairs), 3)}.')
    check_names(names, left, right)
    skeleton = Skeleton(names, parents, left, right, tuple(map(_numbers, groups)))
    check_tree(skeleton)
    return skeleton


def _frame_numbers(content: Any) -> dict[str, dict[str, list[int]]]:
    """{subject: {action: [first, step]}}."""
    for actions in content.values() if isinstance(content, dict) else [None]:
        for pair in actions.values() if isinstance(actions, dict) else [None]:
            numbers = pair if isinstance(pair, list) and list(map(type, pair)) == [int, int] else [-1, 0]
            if not (0 <= numbers[0] < LARGEST and 0 < numbers[1] < LARGEST):
                raise ValueError(f'frame_numbers has {printable(pair, 40)} where [first frame, step] belongs')
    return content


def _root_first(skeleton: Skeleton) -> Skeleton:
    """The same skeleton with its root moved to the front."""
    order = sorted(range(len(skeleton)), key=lambda joint: joint != skeleton.root)
    groups = tuple(tuple(map(order.index, group)) for group in skeleton.groups)
    return replace(skeleton.keep(order), groups=groups)


def _cameras(entries: dict[str, Any], subjects: list[str]) -> tuple[dict[str, tuple[Camera, ...]], tuple[str, ...]]:
    """{subject: cameras}, and the subjects whose positions are in camera coordinates."""
    if 'cameras' not in entries and 'image_size' not in entries:
        return {subject: h36m.cameras()[subject] for subject in subjects if subject in h36m.cameras()}, ()
    if 'cameras' in entries:
        content = json.loads(_text(entries['cameras']))
    else:
        size = _numbers(entries['image_size'])
        if len(size) != 2:
            raise ValueError(f'image_size is {printable(size, 40)} instead of width and height')
        content = [dict(zip(('width', 'height'), size))]
    if isinstance(content, list):
        content = dict.fromkeys(subjects, content)
    if not isinstance(content, dict):
        raise ValueError(f'cameras is {printable(content, 40)} instead of cameras by subject, or a list of cameras')
    cameras: dict[str, tuple[Camera, ...]] = {}
    local = []
    for subject, views in content.items():
        if isinstance(views, str) and views in h36m.cameras():
            views = h36m.cameras()[views]
        elif not (isinstance(views, list) and views and all(isinstance(view, dict) for view in views)):
            raise ValueError(f'{printable(subject, 40)} has {printable(views, 40)} where a list of cameras belongs')
        elif any(not {'R', 't'} & set(view) for view in views):
            local.append(subject)
            if len(views) != 1:
                raise ValueError(f'of the {len(views)} cameras of {subject}, each needs R and t')
        if subject in subjects:
            cameras[subject] = tuple(view if isinstance(view, Camera) else _camera(view, index)
                                     for index, view in enumerate(views))
    return cameras, tuple(local)


def _camera(content: dict[str, Any], index: int) -> Camera:
    """A camera from its JSON: pixels, and X_camera = R X_world + t in metres, as in OpenCV."""
    if unknown := set(content) - CAMERA_KEYS:
        raise ValueError(f'a camera has {listing(sorted(unknown))}, where {listing(sorted(CAMERA_KEYS))} are known')
    needed = {'width', 'height'} | ({'R', 't'} if {'R', 't'} & set(content) else set())
    if missing := needed - set(content):
        raise ValueError(f'a camera has no {listing(sorted(missing))}')
    width, height = (_array(content[side], ()).item() for side in ('width', 'height'))
    if not (1 <= width <= 1 << 16 and 1 <= height <= 1 << 16):
        raise ValueError(f'a camera has an image of {width}x{height}')
    focal = np.full(2, np.nan)
    if 'focal_length' in content:
        both = content['focal_length']
        focal = _array(both if isinstance(both, list) else [both, both], (2,)) / width * 2
        if not (focal > 0).all():
            raise ValueError('a camera has a focal length that is not positive')
        view = 2 * np.degrees(np.arctan(np.array([1, height / width]) / focal))
        if not (VIEW[0] <= view.min() and view.max() <= VIEW[1]):
            odd = view.max() if view.max() > VIEW[1] else view.min()
            raise ValueError(f'a camera has a focal length of {printable(both)} for an image of {width:g}x{height:g}, '
                             f'which is a field of view of {odd:.3g} degrees: focal_length must be in pixels')
    orientation, translation = LEVEL, np.zeros(3)
    if 'R' in content:
        rotation, shift = _array(content['R'], (3, 3)), _array(content['t'], (3,))
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
            raise ValueError('R of a camera is not a rotation matrix')
        orientation = Rotation.from_matrix(rotation.T).as_quat()[[3, 0, 1, 2]]  # w first
        translation = -rotation.T @ shift
    center = _array(content.get('center', (width / 2, height / 2)), (2,))
    if (np.abs(center) <= CORNER).all() or np.abs(center / (width, height) - 0.5).max() > FARTHEST_CENTER:
        raise ValueError(f'a camera has its principal point at ({center[0]:g}, {center[1]:g}) of an image of {width:g}x'
                         f'{height:g}: center must be in pixels from the upper left corner, near the middle')
    if np.abs(center).max() < AT_CORNER * width or np.abs(center / (width, height) - 0.5).max() > OFF_MIDDLE:
        warn(f'a camera has its principal point at ({center[0]:g}, {center[1]:g}) of an image of {width:g}x{height:g}: '
             f'only a crop has it so far from the middle; center must be in pixels from the upper left corner.')
    return Camera(
        orientation=orientation, translation=translation, focal_length=focal,
        center=normalize_screen(center, width, height),
        radial_distortion=_array(content.get('radial_distortion', (0, 0, 0)), (3,)),
        tangential_distortion=_array(content.get('tangential_distortion', (0, 0)), (2,)), width=int(width),
        height=int(height), azimuth=_array(content.get('azimuth', 70), ()).item(), name=str(content.get('name', index)))


def _array(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(value, np.float64)
    except (ValueError, TypeError):
        array = np.array(np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        what = f'{" x ".join(map(str, shape))} numbers belong' if shape else 'a number belongs'
        raise ValueError(f'a camera has {printable(value)} where {what}')
    return array


def _numbers(value: Any) -> tuple[int, ...]:
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in 'iu'):
        raise ValueError(f'{printable(value)} is not a list of whole numbers')
    return tuple(array.tolist())


def _texts(value: Any) -> tuple[str, ...]:
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind != 'U'):
        raise ValueError(f'{printable(value)} is not a list of strings')
    return tuple(array.tolist())


def _text(value: Any) -> str:
    text = value.item() if isinstance(value, np.ndarray) and not value.shape else value
    if not isinstance(text, str):
        raise ValueError('cameras, groups and frame_numbers must be JSON texts')
    return text
