"""Make data_3d_humaneva.npz, and its 2D, from the files of HumanEva-I (Sigal et al., IJCV 2010) that VideoPose3D makes.

    python data/prepare_data_humaneva.py --from-source data_3d_humaneva15.npz --keypoints data_2d_humaneva15_gt.npz
    python main_gcn.py --dataset humaneva --actions Walking,Jog,Box -e 200

Subjects are Train/S1 to S3 and Validate/S1 to S3. Sequences are `Walking 1 chunk0` and so on: each is a run of valid
frames. Frames with a number that is not finite end a run here, too. The places of the cameras are known; focal lengths
are in the calibration of the set itself, with which 2D can be projected:

    python data/prepare_data_humaneva.py --from-source data_3d_humaneva15.npz --calibration HumanEva_I
"""

import argparse
import json
import os
import re
import sys
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.errors import UserError, listing, run_script, warn
from common.files.npz import read_npz
from common.geometry.skeleton import Skeleton
from data import preparation
from data.text_lines import Lines

NAME = 'data_3d_humaneva.npz'
SPLITS = {'train_subjects': 'Train', 'test_subjects': 'Validate'}
FPS = 60
WIDTH, HEIGHT = 640, 480
AZIMUTHS = {'C1': 0, 'C2': -90, 'C3': 90}  # degrees, of plots; the colour cameras
SKELETON = Skeleton(
    names=('Hip', 'Thorax', 'LShoulder', 'LElbow', 'LWrist', 'RShoulder', 'RElbow', 'RWrist', 'LHip', 'LKnee', 'LFoot',
           'RHip', 'RKnee', 'RFoot', 'Head'),
    parents=(-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1), left=(2, 3, 4, 8, 9, 10), right=(5, 6, 7, 11, 12, 13))
# Orientation (quaternion, w first; camera to world) and place (mm) of C1, C2 and C3, from the set's calibration.
_S1 = (([0.424207, -0.4983646, -0.5802981, 0.4847012], [4062.227, 663.2477, 1528.397]),
       ([0.6503354, -0.7481602, -0.0919284, 0.0941766], [844.8131, -3805.2092, 1504.9929]),
       ([0.0664734, -0.0690535, 0.7416416, -0.6639132], [-797.67377, 3916.3174, 1433.6602]))
_S2 = (([0.4214752, -0.4961493, -0.5838273, 0.4851187], [4112.9121, 626.4929, 1545.2988]),
       ([0.6501393, -0.7476588, -0.0954617, 0.0959808], [923.5740, -3877.9243, 1504.5518]),
       ([0.0699353, -0.0712403, 0.7421637, -0.662742], [-781.4915, 3838.8853, 1444.9929]))
PLACES = {'S1': _S1, 'S2': _S2, 'S3': _S1}
CALIBRATION = 22  # numbers: focal length, centre, skew, distortion (k1, k2, p1, p2, k3), rotation, translation

Parts = dict[str, dict[str, list[tuple[str, slice]]]]  # {subject: {action: [(name, frames) of each run]}}


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f'Make {NAME} from the files that VideoPose3D makes of HumanEva-I.')
    parser.add_argument('--from-source', metavar='FILE', required=True, help='data_3d_humaneva15.npz')
    parser.add_argument('--keypoints', metavar='FILE', nargs='+', default=[],
                        help='data_2d_humaneva15_gt.npz, and others that are called like it')
    parser.add_argument('--calibration', metavar='DIR',
                        help='folder of HumanEva-I with S1/Calibration_Data/C1.cal: gives the cameras focal lengths')
    preparation.add_output_flags(parser)
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    outputs = {path: os.path.join(args.output, f'data_2d_humaneva_{_name_of(path)}.npz') for path in args.keypoints}
    output = os.path.join(args.output, NAME)
    for path in (output, *outputs.values()):
        preparation.keep_existing(path, args.force)
    positions, parts = read_positions(args.from_source)
    keypoints = {path: read_keypoints(path, parts) for path in outputs}
    people = {subject: subject.split('/')[1] for subject in positions}
    cameras = {person: read_calibration(args.calibration, person) if args.calibration else placed(person)
               for person in set(people.values())}
    numbers = {subject: {name: [frames.start, 1] for runs in actions.values() for name, frames in runs}
               for subject, actions in parts.items()}
    preparation.save(output, positions_3d=positions, fps=np.array(FPS), frame_numbers=np.array(json.dumps(numbers)),
                     cameras=np.array(json.dumps({subject: cameras[person] for subject, person in people.items()})),
                     **{split: np.array([subject for subject in positions if subject.startswith(folder)], str)
                        for split, folder in SPLITS.items()}, **preparation.skeleton_entries(SKELETON))
    for path, (found, metadata) in keypoints.items():
        preparation.save(outputs[path], positions_2d=found, metadata=metadata)
    print(output)
    preparation.print_frames(positions)


def read_positions(path: str) -> tuple[dict[str, dict[str, np.ndarray]], Parts]:
    """Positions of the runs of valid frames, {subject: {name: (T, 15, 3) float32 metres, z up}}, and where they lie.

    Raises:
        UserError: it is not such a file.
    """
    content = _two_levels(path, read_npz(path, ('positions_3d',))['positions_3d'])
    positions: dict[str, dict[str, np.ndarray]] = {}
    parts: Parts = {}
    for subject, actions in content.items():
        if not re.fullmatch('(Train|Validate)/S[123]', subject):
            warn(f'{path}: {subject} is left out: it is none of Train/S1 to S3 and Validate/S1 to S3.')
            continue
        for action, take in actions.items():
            where = f'{path}: {subject} {action}'
            if not isinstance(take, np.ndarray) or take.dtype.kind != 'f' or take.shape[1:] != (len(SKELETON), 3):
                raise UserError(f'{where} is not an array of (frames, {len(SKELETON)}, 3) numbers: only the file of '
                                f'{len(SKELETON)} joints is known, data_3d_humaneva15.npz.')
            runs = _runs(action, np.asarray(np.isfinite(take).all(axis=(1, 2)), int))
            parts.setdefault(subject, {})[action] = runs
            for name, frames in runs:
                positions.setdefault(subject, {})[name] = preparation.checked(
                    take[frames], (None, len(SKELETON), 3), where).astype(np.float32)
    if not positions:
        raise UserError(f'{path} has no valid frame of Train/S1 to S3 and Validate/S1 to S3.')
    return dict(sorted(positions.items())), parts


def read_keypoints(path: str, parts: Parts) -> tuple[dict[str, dict[str, list[np.ndarray]]], dict[str, Any]]:
    """2D of the same runs, {subject: {name: [(T, F, 2 or 3) pixels of C1, C2 and C3]}}, and the file's metadata.

    Sequences that the 3D lacks (`Unlabeled/...`) are left out.
    """
    entries = read_npz(path, ('positions_2d',), optional=('metadata',))
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for subject, actions in _two_levels(path, entries['positions_2d']).items():
        for action, views in actions.items():
            for name, frames in parts.get(subject, {}).get(action, ()):
                if not isinstance(views, list | tuple) or len(views) != len(AZIMUTHS) or not all(
                        isinstance(view, np.ndarray) and view.ndim == 3 for view in views):
                    raise UserError(f'{path}: {subject} {action} is not a list of an array for each of '
                                    f'{listing(AZIMUTHS)}; this is another file.')
                found.setdefault(subject, {})[name] = [view[frames] for view in views]
    if not found:
        raise UserError(f'{path} has 2D of no sequence of the 3D; it is the 2D of other files.')
    return found, entries.get('metadata', {})


def placed(person: str) -> list[dict[str, Any]]:
    """The cameras of S1, S2 or S3 without focal lengths, which VideoPose3D's files do not hold."""
    cameras = []
    for (name, azimuth), (orientation, place) in zip(AZIMUTHS.items(), PLACES[person], strict=True):
        rotation = Rotation.from_quat(np.roll(orientation, -1)).as_matrix().T
        cameras.append({'name': name, 'width': WIDTH, 'height': HEIGHT, 'azimuth': azimuth, 'R': rotation.tolist(),
                        't': (-rotation @ np.array(place) / 1000).tolist()})
    return cameras


def read_calibration(folder: str, person: str) -> list[dict[str, Any]]:
    """The calibrated cameras of S1, S2 or S3, from a folder of the set.

    Tangential distortion is left out, because the formula of this program is Human3.6M's: it is some tenths of a pixel.
    """
    cameras = []
    for name, azimuth in AZIMUTHS.items():
        path = os.path.join(folder, person, 'Calibration_Data', f'{name}.cal')
        if not os.path.exists(path):
            raise UserError(f'{path} is missing; --calibration names the folder of HumanEva-I that holds S1 to S3.')
        lines = Lines(path)
        numbers = [number for words in lines for number in lines.floats(words, len(words))]
        if len(numbers) != CALIBRATION:
            raise UserError(f'{path} has {len(numbers)} numbers, where a calibration of HumanEva-I has {CALIBRATION}.')
        cameras.append({'name': name, 'width': WIDTH, 'height': HEIGHT, 'azimuth': azimuth,
                        'focal_length': numbers[:2], 'center': numbers[2:4],
                        'radial_distortion': [numbers[5], numbers[6], numbers[9]],
                        'R': np.reshape(numbers[10:19], (3, 3)).tolist(),
                        't': [number / 1000 for number in numbers[19:]]})
    return cameras


def _runs(action: str, valid: np.ndarray) -> list[tuple[str, slice]]:
    """Name and frames of each run of valid frames: `Walking 1 chunk0`, `Walking 1 chunk0 part1`, ..."""
    ends = np.flatnonzero(np.diff(valid)) + 1
    runs = [slice(int(first), int(end)) for first, end in zip([0, *ends], [*ends, len(valid)]) if end and valid[first]]
    return [(f'{action} part{number}' if number else action, run) for number, run in enumerate(runs)]


def _two_levels(path: str, content: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(content, dict) or not all(
            isinstance(subject, str) and isinstance(actions, dict) and all(isinstance(name, str) for name in actions)
            for subject, actions in content.items()):
        raise UserError(f'{path} is not a file of subjects and their actions, as VideoPose3D writes it.')
    return content


def _name_of(path: str) -> str:
    match = re.fullmatch(r'data_2d_humaneva15_([\w.-]+)\.npz', os.path.basename(path))
    if not match:
        raise UserError(f'{path} is not called like data_2d_humaneva15_gt.npz, so the name of its keypoints is not '
                        'known: rename it.')
    return match[1]


if __name__ == '__main__':
    run_script(main)
