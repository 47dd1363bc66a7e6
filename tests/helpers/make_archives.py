"""Makers of small but structurally true sources: Human3.6M's archives and files, and CMU's .asf and .amc."""

import gzip
import io
import tarfile
import zipfile

import cdflib.cdfwrite
import h5py
import numpy as np
import scipy.io

from common.datasets.h36m import ACTIONS, CORRUPTED, TEST_SUBJECTS, TRAIN_SUBJECTS, cameras

CAMERA_IDS = [camera.name for camera in cameras()['S1']]
# The detector's order of the 16 joints, written as names so that tests need no table of indices.
SH_JOINTS = ('RFoot', 'RKnee', 'RHip', 'LHip', 'LKnee', 'LFoot', 'Hip', 'Spine', 'Thorax', 'Head', 'RWrist', 'RElbow',
             'RShoulder', 'LShoulder', 'LElbow', 'LWrist')
# As the sources call them; the prepared files have Photo and WalkDog.
SOURCE_NAMES = {'Photo': 'TakingPhoto', 'WalkDog': 'WalkingDog'}


def h36m_names() -> list[str]:
    """The 30 sequences of a subject; of S11, the corrupted one is among them, as in the archives."""
    return [name for action in ACTIONS for name in (action, f'{action} 1')]


def make_positions(frames: int = 3, subjects=TRAIN_SUBJECTS + TEST_SUBJECTS, seed: int = 0) -> dict:
    """{subject: {action: (frames, 32, 3) millimetres}} that look like nobody, S11's corrupted sequence included."""
    rng = np.random.default_rng(seed)
    return {subject: {name: rng.normal(0, 600, (frames, 32, 3)) for name in h36m_names()}
            for subject in subjects}


def make_detections(frames: int = 3, subjects=TRAIN_SUBJECTS + TEST_SUBJECTS, seed: int = 0) -> dict:
    """{subject: {action: [4 x (frames, 16, 2) pixels, the detector's order]}}; one of S11's corrupted views is None."""
    rng = np.random.default_rng(seed)
    detections = {subject: {name: list(rng.uniform(0, 1000, (4, frames, 16, 2))) for name in h36m_names()}
                  for subject in subjects}
    if CORRUPTED[0] in detections:
        detections[CORRUPTED[0]][CORRUPTED[1]][0] = None
    return detections


def h5_bytes(name: str, array: np.ndarray) -> bytes:
    """An HDF5 file of one dataset."""
    file = io.BytesIO()
    with h5py.File(file, 'w') as content:
        content[name] = array
    return file.getvalue()


def source_name(action: str) -> str:
    kind, _, number = action.partition(' ')
    return SOURCE_NAMES.get(kind, kind) + (f' {number}' if number else '')


def position_members(positions: dict) -> dict[str, bytes]:
    """The 3D part of h36m.zip: {member: content}."""
    return {f'h36m/{subject}/MyPoses/3D_positions/{source_name(action)}.h5':
            h5_bytes('3D_positions', poses.transpose(1, 2, 0).reshape(96, -1))
            for subject, actions in positions.items() for action, poses in actions.items()}


def detection_members(detections: dict, folder: str) -> dict[str, bytes]:
    """Detections of an archive, e.g. in `h36m/{subject}/StackedHourglass`: {member: content}."""
    return {f'{folder.format(subject=subject)}/{source_name(action).replace(" ", "_")}.{camera}.h5':
            h5_bytes('poses', view)
            for subject, actions in detections.items() for action, views in actions.items()
            for camera, view in zip(CAMERA_IDS, views) if view is not None}


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(members: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = (),
           format: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def write_zip(path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> str:
    path.write_bytes(zip_of(members, compression))
    return str(path)


def write_tar(path, members: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> str:
    path.write_bytes(gzip.compress(tar_of(members, extra), 1))
    return str(path)


def make_h36m_zip(path, positions: dict | None = None, detections: dict | None = None) -> str:
    """Martinez et al.'s h36m.zip of positions (`make_positions`) and of detections (`make_detections`)."""
    return write_zip(path, position_members(positions or {})
                     | detection_members(detections or {}, 'h36m/{subject}/StackedHourglass'))


def make_sh_tar(path, detections: dict) -> str:
    """Their stacked_hourglass_fined_tuned_240.tar.gz of detections (`make_detections`)."""
    return write_tar(path, detection_members(detections, '{subject}/StackedHourglassFineTuned240'))


def write_cdf(path, poses):
    file = cdflib.cdfwrite.CDF(str(path), cdf_spec={'Compressed': 0})
    file.write_var({'Variable': 'Pose', 'Data_Type': 45, 'Num_Elements': 1, 'Rec_Vary': True,
                    'Dim_Sizes': [len(poses), 96]}, var_data=poses.reshape(1, -1, 96))
    file.close()


def write_mat(path, poses):
    cell = np.empty((1, 1), object)
    cell[0, 0] = poses.reshape(-1, 96)
    scipy.io.savemat(path, {'data': cell})


# Every bone that the 32 joints need, each 0.45 units (1 inch) up, but the forearms: these have channels, and axes that
# are turned, so that rx bends them about z.
TREE = {'rhipjoint': 'root', 'rfemur': 'rhipjoint', 'rtibia': 'rfemur', 'rfoot': 'rtibia', 'rtoes': 'rfoot',
        'lhipjoint': 'root', 'lfemur': 'lhipjoint', 'ltibia': 'lfemur', 'lfoot': 'ltibia', 'ltoes': 'lfoot',
        'thorax': 'root', 'upperneck': 'thorax', 'head': 'upperneck',
        'lclavicle': 'thorax', 'lhumerus': 'lclavicle', 'lradius': 'lhumerus', 'lthumb': 'lradius',
        'lfingers': 'lradius', 'rclavicle': 'thorax', 'rhumerus': 'rclavicle', 'rradius': 'rhumerus',
        'rthumb': 'rradius', 'rfingers': 'rradius'}
MOVING = ('lradius', 'rradius')


def make_asf() -> str:
    bones = ''.join(f'  begin\n    id {number}\n    name {name}\n    direction 0 1 0\n    length 0.45\n'
                    f'    axis {"0 90 0" if name in MOVING else "0 0 0"} XYZ\n'
                    + ('    dof rx ry\n    limits (-10.0 170.0)\n           (-10.0 170.0)\n' if name in MOVING else '')
                    + '  end\n' for number, name in enumerate(TREE, 1))
    hierarchy = ''.join(f'    {parent} {child}\n' for child, parent in TREE.items())
    return ('# made by a test\n:version 1.10\n:units\n  mass 1.0\n  length 0.45\n  angle deg\n'
            ':documentation\n  begin with any words\n:root\n  order TX TY TZ RX RY RZ\n  axis XYZ\n  position 0 0 0\n'
            f'  orientation 0 0 0\n:bonedata\n{bones}:hierarchy\n  begin\n{hierarchy}  end\n')


def make_amc(frames: int, bend: float = 0) -> str:
    return ':FULLY-SPECIFIED\n:DEGREES\n' + ''.join(
        f'{frame}\nroot 0 9 0 0 0 0\nlradius {bend} 0\nrradius 0 0\n' for frame in range(1, frames + 1))
