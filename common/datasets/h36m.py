"""Human3.6M (Ionescu et al., TPAMI 2014): its skeleton, its cameras, its subjects and its actions."""

import json
import os
from functools import cache

import numpy as np

from common.datasets.mocap import DatasetSpec
from common.geometry import body
from common.geometry.camera import Camera, normalize_screen
from common.geometry.skeleton import Skeleton

TRAIN_SUBJECTS = ('S1', 'S5', 'S6', 'S7', 'S8')
TEST_SUBJECTS = ('S9', 'S11')
ACTIONS = ('Directions', 'Discussion', 'Eating', 'Greeting', 'Phoning', 'Photo', 'Posing', 'Purchases', 'Sitting',
           'SittingDown', 'Smoking', 'Waiting', 'WalkDog', 'Walking', 'WalkTogether')
FPS = 50
FILES = {'h36m17': 'h36m'}  # {data set: the data set in whose files it lies}: the 17 joints of the same recordings
CORRUPTED = ('S11', 'Directions')  # its video is damaged, so 3D and 2D leave this sequence out
# Their 3D is shifted against the video. Papers on several views leave them out, papers on one view keep them.
SHIFTED = (('S9', 'Greeting'), ('S9', 'SittingDown'), ('S9', 'Waiting 1'))

SKELETON_32 = Skeleton(
    names=('Hip', 'RHip', 'RKnee', 'RFoot', '', '', 'LHip', 'LKnee', 'LFoot', '', '', '', 'Spine', 'Thorax',
           'Neck/Nose', 'Head', '', 'LShoulder', 'LElbow', 'LWrist', '', '', '', '', '', 'RShoulder', 'RElbow',
           'RWrist', '', '', '', ''),
    parents=(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26, 27,
             28, 27, 30),
    left=(6, 7, 8, 17, 18, 19),
    right=(1, 2, 3, 25, 26, 27),
)
KEPT_JOINTS = tuple(map(SKELETON_32.names.index, body.NAMES))


@cache
def skeleton() -> Skeleton:
    """The 16 joints of the networks; both shoulders are children of the Thorax."""
    return body.SKELETON


@cache
def skeleton_17() -> Skeleton:
    """The 17 joints of most papers and of VideoPose3D's files: the 16 and Neck/Nose."""
    kept = [joint for joint, name in enumerate(SKELETON_32.names) if name]
    return SKELETON_32.keep(kept, new_parents={17: 13, 25: 13})


def spec(name: str) -> DatasetSpec:
    """Human3.6M with 16 joints (`h36m`) or 17 (`h36m17`), or another dataset with its 32 joints and its names of
    subjects: `cmu`, `demo`."""
    return DatasetSpec(name=name, skeleton=skeleton_17() if name == 'h36m17' else skeleton(), file_skeleton=SKELETON_32,
                       cameras=cameras(), train_subjects=TRAIN_SUBJECTS, test_subjects=TEST_SUBJECTS,
                       action_order=ACTIONS, left_out=(CORRUPTED,) if FILES.get(name, name) == 'h36m' else (),
                       synthetic=name == 'demo', fps=FPS)


@cache
def cameras() -> dict[str, tuple[Camera, ...]]:
    """The four calibrated cameras of each subject: {subject: 4 cameras}."""
    with open(os.path.join(os.path.dirname(__file__), 'h36m_cameras.json'), encoding='utf-8') as file:
        table = json.load(file)
    return {subject: tuple(map(_camera, table['intrinsics'], places))
            for subject, places in table['extrinsics'].items()}


def _camera(intrinsic: dict, place: dict) -> Camera:
    width, height = intrinsic['res_w'], intrinsic['res_h']
    return Camera(
        orientation=np.array(place['orientation']),
        translation=np.array(place['translation']) / 1000,  # from millimetres
        focal_length=np.array(intrinsic['focal_length']) / width * 2,
        center=normalize_screen(np.array(intrinsic['center']), width, height),
        radial_distortion=np.array(intrinsic['radial_distortion']),
        tangential_distortion=np.array(intrinsic['tangential_distortion']),
        width=width, height=height, azimuth=intrinsic['azimuth'], name=intrinsic['id'], clamped=True)
