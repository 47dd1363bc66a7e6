"""Readers of MPI-INF-3DHP (Mehta et al., 3DV 2017): its own files, and the `.npz` files that other programs hand out.

- Training set: `S1/Seq1/annot.mat` (28 joints for each camera) and `camera.calibration` beside it.
- Test set: `TS1/annot_data.mat` (17 joints).
- P-STMO's `data_train_3dhp.npz` and `data_test_3dhp.npz`: `data` is {'S1 Seq1': [{camera: {'data_2d', 'data_3d'}},
  rate]} or {'TS1': {'data_2d', 'data_3d', 'valid'}}, the 17 joints of the test set, mm.
- `data_3d_3dhp.npz` and `data_2d_3dhp.npz` of MHFormer's author (GraphMLP): {subject: {'Seq1': [an array for each
  camera]}}, 17 joints in Human3.6M's order, metres.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.io

from common.datasets import h36m
from common.errors import UserError, listing, printable
from common.files.npz import read_npz
from data import archives, preparation
from data.text_lines import Lines

SUBJECTS = tuple(f'TS{number}' for number in range(1, 7))
SIZE = 2048, 2048  # pixels, of all cameras but of two test sequences
SIZES = {subject: (1920, 1080) if subject in ('TS5', 'TS6') else SIZE for subject in SUBJECTS}
ACTIVITIES = ('Standing', 'Exercise', 'Sitting', 'Crouching', 'OnTheFloor', 'Sports', 'Miscellaneous')
# The set's joints by Human3.6M's names: Thorax is the set's neck, Neck/Nose its head, and Head its top of the head.
JOINTS = ('Head', 'Thorax', 'RShoulder', 'RElbow', 'RWrist', 'LShoulder', 'LElbow', 'LWrist', 'RHip', 'RKnee', 'RFoot',
          'LHip', 'LKnee', 'LFoot', 'Hip', 'Spine', 'Neck/Nose')
# The 28 joints of the training set by the same names: its ankles are the feet; clavicles, hands, toes and the upper
# spine have no counterpart in the test set.
RAW_JOINTS = ('', '', '', 'Spine', 'Hip', 'Thorax', 'Neck/Nose', 'Head', '', 'LShoulder', 'LElbow', 'LWrist', '', '',
              'RShoulder', 'RElbow', 'RWrist', '', 'LHip', 'LKnee', 'LFoot', '', '', 'RHip', 'RKnee', 'RFoot', '', '')
RAW_ORDER = [RAW_JOINTS.index(name) for name in JOINTS]
CAMERAS = (*range(3), *range(4, 9))  # the set's choice for one view; the others hang from the ceiling
RATE, FAST_RATE = 25, 50  # frames a second
FAST = {('S1', 'Seq2'), ('S3', 'Seq1'), ('S3', 'Seq2'), ('S5', 'Seq1'), ('S5', 'Seq2')}
LARGEST, MEMORY, PATIENCE = 1 << 30, 4 << 30, 120  # bytes of annot.mat, bytes and seconds to read it


@dataclass
class Recording:
    """A sequence as its cameras saw it.

    Attributes:
        positions: (T, 17, 3) metres in the axes of each camera (x right, y down, z forward); the joints are `JOINTS`.
        keypoints: (T, 17, 2) pixels for each camera.
        cameras: what is known of each, as in `docs/datasets.md`; R and t are of the calibration's own world.
        rate: frames a second; None if it is not known.
        first: number of the first frame in the video, counted from 0.
    """

    subject: str
    action: str
    positions: list[np.ndarray]
    keypoints: list[np.ndarray]
    cameras: list[dict[str, Any]]
    rate: int | None = None
    first: int = 0


def read_test_set(path: str, annotation: str) -> Iterator[Recording]:
    """Each run of valid frames of one activity, from the folder of the test set or from an `.npz` file.

    Args:
        annotation: 'univ_annot3' or 'annot3'.
    Raises:
        UserError: a file is damaged or not of this set, or there is none.
    """
    if not os.path.isdir(path):
        yield from _of_npz(path, annotation, 'TS')
        return
    found = set()

    def choose(name: str) -> str | None:
        return match[1] if (match := re.search(r'(?:^|/)(TS[1-6])/annot_data\.mat$', name)) else None

    for where, subject, content in archives.folder_members(path, choose):
        world = _frames(content, annotation, (17, 3), where) / 1000
        pixels = _frames(content, 'annot2', (17, 2), where)
        valid, activity = (_frames(content, name, (), where) for name in ('valid_frame', 'activity_annotation'))
        if len({len(world), len(pixels), len(valid), len(activity)}) > 1 or subject in found:
            raise UserError(f'{where} has arrays of different lengths, or {subject} is there twice.')
        if not np.isin(activity[valid > 0], range(1, len(ACTIVITIES) + 1)).all():
            raise UserError(f'{where} has activities that are none of 1 to {len(ACTIVITIES)}.')
        found.add(subject)
        kinds = ['', *ACTIVITIES]
        yield from _runs(where, subject, world, pixels,
                         [kinds[int(kind)] if good else '' for kind, good in zip(activity, valid > 0, strict=True)])
    if not found:
        raise UserError(f'{path} has nothing like TS1/annot_data.mat; unpack the test set of MPI-INF-3DHP there.')


def read_training_set(path: str, annotation: str) -> Iterator[Recording]:
    """The training sequences, from the folder of the set or from an `.npz` file; arguments and raises as above."""
    if not os.path.isdir(path):
        yield from _of_npz(path, annotation, 'S')
        return
    files = sorted((int(subject), int(sequence), os.path.join(folder, 'annot.mat'))
                   for folder, _, names in os.walk(path) if 'annot.mat' in names
                   for subject, sequence in re.findall(r'(?:^|/)S([1-8])/Seq([12])$', folder.replace(os.sep, '/')))
    if not files:
        raise UserError(f'{path} has nothing like S1/Seq1/annot.mat; unpack the training set of MPI-INF-3DHP there.')
    with archives.worker(MEMORY) as pool:
        for subject, sequence, file in archives.progress(files):
            names = f'S{subject}', f'Seq{sequence}'
            calibrated = read_calibration(os.path.join(os.path.dirname(file), 'camera.calibration'))
            views = archives.read_apart(pool, read_annotations, file, PATIENCE)
            if missing := set(views) - set(calibrated):
                raise UserError(f'{file} has cameras {listing(sorted(missing))} that camera.calibration beside it '
                                'lacks; fetch both again.')
            cameras = [{'name': str(camera), **calibrated[camera]} for camera in views]
            yield Recording(*names, [view[annotation] / 1000 for view in views.values()],
                            [view['annot2'] for view in views.values()], cameras, _rate(*names))


def read_annotations(path: str) -> dict[int, dict[str, np.ndarray]]:
    """{camera of `CAMERAS`: {'annot2': (T, 17, 2) pixels, 'annot3' and 'univ_annot3': (T, 17, 3) mm}}.

    Raises:
        UserError: it is not such a file.
    """
    archives.refuse_large(path, os.path.getsize(path), LARGEST)
    names = {'annot2': 2, 'annot3': 3, 'univ_annot3': 3}
    with archives.damage_as_sentence(path):
        content = scipy.io.loadmat(path, variable_names=[*names, 'cameras'])
    if missing := [name for name in names if name not in content]:
        raise UserError(f'{path} has no {listing(missing)}, so it is not of the training set of MPI-INF-3DHP.')
    cells = {name: np.asarray(content[name], object).ravel() for name in names}
    numbers = np.asarray(content.get('cameras', np.arange(len(cells['annot2'])))).ravel().tolist()
    if {len(cell) for cell in cells.values()} != {len(numbers)}:
        raise UserError(f'{path} has {listing(sorted({len(cell) for cell in cells.values()}))} cells for '
                        f'{len(numbers)} cameras; fetch it again.')
    found: dict[int, dict[str, np.ndarray]] = {}
    for index, camera in enumerate(numbers):
        if camera in CAMERAS:
            arrays = {name: preparation.checked(np.asarray(cells[name][index]), (None, 28 * size),
                                                f'{path}: {name} of camera {camera}').reshape(-1, 28, size)
                      for name, size in names.items()}
            found[int(camera)] = {name: array[:, RAW_ORDER] for name, array in arrays.items()}
    if len({len(array) for arrays in found.values() for array in arrays.values()}) != 1:
        raise UserError(f'{path} has arrays of different lengths, or none of the cameras {listing(CAMERAS)}.')
    return found


def read_calibration(path: str) -> dict[int, dict[str, Any]]:
    """{camera: its size, focal length, centre, R and t} of a `camera.calibration`; t in metres."""
    if not os.path.exists(path):
        raise UserError(f'{path} is missing: it comes with the training set, beside annot.mat.')
    found: dict[int, dict[str, Any]] = {}
    lines, entry = Lines(path), {}
    for words in lines:
        if words[0] == 'name':
            entry = found.setdefault(int(lines.floats(words[1:], 1)[0]), {})
        elif words[0] == 'size':
            entry['width'], entry['height'] = map(int, lines.floats(words[1:], 2))
        elif words[0] == 'intrinsic':
            matrix = np.reshape(lines.floats(words[1:], 16), (4, 4))
            entry['focal_length'], entry['center'] = [matrix[0, 0], matrix[1, 1]], [matrix[0, 2], matrix[1, 2]]
        elif words[0] == 'extrinsic':
            matrix = np.reshape(lines.floats(words[1:], 16), (4, 4))
            entry['R'], entry['t'] = matrix[:3, :3], matrix[:3, 3] / 1000
    if not found or any(len(entry) < 6 for entry in found.values()):
        raise UserError(f'{path} lacks name, size, intrinsic or extrinsic of a camera; fetch it again.')
    return found


def _of_npz(path: str, annotation: str, prefix: str) -> Iterator[Recording]:
    """The recordings of the subjects S or TS in an `.npz` file of either layout."""
    if annotation != 'univ_annot3':
        raise UserError(f'{path} holds people scaled to one height; --scale measured needs the files of the set.')
    content = read_npz(path)
    if 'data' in content:
        recordings = _of_p_stmo(path, content['data'])
    elif 'positions_3d' in content:
        recordings = _of_graphmlp(path, content['positions_3d'])
    else:
        raise UserError(f'{path} has neither an entry data nor positions_3d, so it is no .npz file of MPI-INF-3DHP '
                        'that is known; data/README.md describes them.')
    found = False
    for recording in recordings:
        if (recording.subject in SUBJECTS) == (prefix == 'TS'):
            found = True
            yield recording
    if not found:
        raise UserError(f'{path} has no sequence of {"the test set, TS1 to TS6" if prefix == "TS" else "S1 to S8"}.')


def _of_p_stmo(path: str, content: Any) -> Iterator[Recording]:
    for name, value in _dict(path, content).items():
        where = f'{path}: {printable(name, 40)}'
        if test := re.search(r'(?:^| )(TS[1-6])$', str(name)):
            valid = np.asarray(_dict(where, value, 'valid')['valid']).ravel()
            world, pixels = _pair(where, value, 1000)
            if len(valid) != len(world):
                raise UserError(f'{where} has {len(valid)} marks of valid frames for {len(world)} frames.')
            yield from _runs(where, test[1], world, pixels, [test[1] if good else '' for good in valid > 0])
        elif train := re.fullmatch(r'(S[1-8]) (Seq[12])', str(name)):
            if not (isinstance(value, list | tuple) and len(value) == 2 and
                    isinstance(value[1], int | float | np.number) and value[1] in (RATE, FAST_RATE)):
                raise UserError(f'{where} is not a list of cameras and of {RATE} or {FAST_RATE} frames a second.')
            views = {camera: _pair(f'{where} camera {printable(camera, 20)}', view, 1000)
                     for camera, view in _dict(where, value[0]).items()}
            yield _recording(where, train[1], train[2], views, int(value[1]))
        else:
            raise UserError(f"{path} has a sequence {printable(name, 40)}, where names like 'S1 Seq1', 'TS1' belong.")


def _of_graphmlp(path: str, content: Any) -> Iterator[Recording]:
    other = os.path.join(os.path.dirname(path), os.path.basename(path).replace('3d', '2d', 1))
    pixels = _dict(other, read_npz(other, ('positions_2d',))['positions_2d'])
    order = [h36m.skeleton_17().names.index(name) for name in JOINTS]
    for subject, actions in _dict(path, content).items():
        for action, views in _dict(f'{path}: {printable(subject, 40)}', actions).items():
            subject, action = str(subject), str(action)
            where = f'{path}: {printable(subject, 20)} {printable(action, 20)}'
            seen = _dict(other, pixels.get(subject, {})).get(action)
            if not (isinstance(views, list | tuple) and isinstance(seen, list | tuple) and len(views) == len(seen)):
                raise UserError(f'{where} and {other} must have a list of one array for each camera.')
            pairs = {str(camera): _pair(where, {'data_3d': one, 'data_2d': two}, 1)
                     for camera, (one, two) in enumerate(zip(views, seen, strict=True))}
            pairs = {camera: (one[:, order], two[:, order]) for camera, (one, two) in pairs.items()}
            if subject in SUBJECTS:  # its activities are not in the file
                yield _recording(where, subject, f'{subject} {action}', pairs, None)
            else:
                yield _recording(where, subject, action, pairs, _rate(subject, action))


def _recording(where: str, subject: str, action: str, views: dict[str, tuple], rate: int | None) -> Recording:
    if len({len(world) for world, _ in views.values()}) != 1:
        raise UserError(f'{where} has cameras with different numbers of frames, or none.')
    width, height = SIZES.get(subject, SIZE)
    cameras = [{'name': camera, 'width': width, 'height': height} for camera in views]
    return Recording(subject, action, [world for world, _ in views.values()],
                     [pixels for _, pixels in views.values()], cameras, rate)


def _runs(where: str, subject: str, world: np.ndarray, pixels: np.ndarray, kinds: list[str]) -> Iterator[Recording]:
    """Each run of frames of one kind; frames of the kind '' are left out."""
    takes: Counter = Counter()
    ends = [frame + 1 for frame in range(len(kinds) - 1) if kinds[frame] != kinds[frame + 1]]
    for first, end in zip([0, *ends], [*ends, len(kinds)], strict=True):
        if kind := kinds[first]:
            action = f'{kind} {takes[kind]}' if takes[kind] else kind
            takes[kind] += 1
            view = {'0': (world[first:end], pixels[first:end])}
            recording = _recording(where, subject, action, view, None)
            recording.first = first
            yield recording
    if not takes:
        raise UserError(f'{where} has no valid frame.')


def _pair(where: str, content: Any, divisor: int) -> tuple[np.ndarray, np.ndarray]:
    """3D in metres and 2D in pixels of one camera."""
    entries = _dict(where, content, 'data_3d', 'data_2d')
    world, pixels = (preparation.checked(np.asarray(entries[name]), (None, 17, size), f'{where}: {name}')
                     for name, size in (('data_3d', 3), ('data_2d', 2)))
    if len(world) != len(pixels):
        raise UserError(f'{where} has {len(world)} frames of 3D and {len(pixels)} of 2D; fetch the file again.')
    return world / divisor, pixels


def _dict(where: str, content: Any, *keys: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not set(keys) <= set(content):
        raise UserError(f'{where} is not a dict{" with " + listing(keys) if keys else ""}; this is another file, and '
                        'data/README.md describes those that are known.')
    return content


def _frames(content: bytes, name: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    """An annotation, (T, *shape); MATLAB adds dimensions of one."""
    array = archives.read_h5(content, name, where)
    if array.size == 0 or array.size != len(array) * int(np.prod(shape)) or (
            tuple(n for n in array.shape[1:] if n > 1) != shape):
        raise UserError(f'{where}: {name} is {array.shape}, where (frames, 1, 17, 2 or 3) or (frames, 1) belongs.')
    return preparation.checked(array.reshape(len(array), *shape), (None, *shape), f'{where}: {name}')


def _rate(subject: str, action: str) -> int:
    return FAST_RATE if (subject, action) in FAST else RATE
