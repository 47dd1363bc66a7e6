"""Targets of the fuzzing: archives and files that the preparation scripts read, and prepared data sets."""

import gzip
import io
import os
import pathlib
import tarfile
import tempfile
import zipfile
from typing import Any

import h5py
import numpy as np

from common.datasets import loading
from common.datasets.poses import pair
from data import prepare_data_2d_h36m_sh, prepare_data_cmu, prepare_data_h36m, prepare_data_humaneva, sources_3dhp
from data.prepare_data_3dhp import Prepared
from tests.conftest import moving_people, pixels_of
from tests.fuzzing.target import Target
from tests.helpers import make_3dhp
from tests.helpers import make_archives as make
from tests.helpers.make_bvh import small_bvh
from tests.helpers.make_damage import damage_entries, npz_of, pickled_entries

POSITIONS = 'h36m/S1/MyPoses/3D_positions/Walking.h5'
ORIGINAL = 'S1/MyPoseFeatures/D3_Positions/Walking'
VIEWS = [f'S1/StackedHourglassFineTuned240/Walking.{camera}.h5' for camera in make.CAMERA_IDS]
TABLE = prepare_data_cmu.read_table(prepare_data_cmu.TABLE)


def targets() -> list[Target]:
    return [
        Target('zip', 'h36m.zip', zips, prepare_data_h36m.read_archive),
        Target('zip, h5', 'h36m.zip', lambda: h5_files('3D_positions', (96, 3)), prepare_data_h36m.read_archive,
               lambda part: make.zip_of({POSITIONS: part})),
        Target('tar.gz', 'sh.tar.gz', lambda: [gzip.compress(make.tar_of(h5_views()))],
               prepare_data_2d_h36m_sh.read_tar),
        Target('tar', 'sh.tar.gz', tars, prepare_data_2d_h36m_sh.read_tar, gzip.compress),
        Target('tar, h5', 'sh.tar.gz', lambda: h5_files('poses', (3, 16, 2)), prepare_data_2d_h36m_sh.read_tar,
               lambda part: gzip.compress(make.tar_of({VIEWS[0]: part, **h5_views(1)}), 1)),
        Target('cdf', f'{ORIGINAL}.cdf', lambda: [made(make.write_cdf)], prepare_data_h36m.read_cdf, apart=True),
        Target('mat', f'{ORIGINAL}.cdf.mat', lambda: [made(make.write_mat)], prepare_data_h36m.read_mat, apart=True),
        Target('asf', '02/02.asf', lambda: [make.make_asf().encode()], use_motions,
               beside=lambda: {'02_01.amc': make.make_amc(5, 20).encode()}),
        Target('amc', '02/02_01.amc', lambda: [make.make_amc(5, 20).encode()], use_motions,
               beside=lambda: {'02.asf': make.make_asf().encode()}),
        Target('bvh', '02/02_01.bvh', lambda: [small_bvh().encode()], use_motions),
        Target('table of trials', 'trials.csv', tables, prepare_data_cmu.read_table),
        Target('3dhp, mat', 'S1/Seq1/annot.mat', lambda: [training_file('annot.mat')], sources_3dhp.read_annotations,
               apart=True),
        Target('3dhp, calibration', 'camera.calibration', lambda: [training_file('camera.calibration')],
               sources_3dhp.read_calibration),
        Target('3dhp, P-STMO', 'train.npz', lambda: [pickled_entries(data=make_3dhp.p_stmo_training())],
               use_3dhp, npz_of, damage_entries),
        Target('3dhp, GraphMLP', 'data_3d.npz', lambda: [graphmlp()[0]], use_3dhp, npz_of, damage_entries,
               beside=lambda: {'data_2d.npz': npz_of(graphmlp()[1])}),
        Target('HumanEva, 3D', 'data_3d.npz', lambda: [humaneva(3)], prepare_data_humaneva.read_positions, npz_of,
               damage_entries),
        Target('HumanEva, 2D', 'data_2d.npz', lambda: [humaneva(2)], use_humaneva_2d, npz_of, damage_entries),
        Target('HumanEva, calibration', 'S1/Calibration_Data/C1.cal', lambda: [b'7.5e2\n' * 22], use_calibration,
               beside=lambda: dict.fromkeys(('C2.cal', 'C3.cal'), b'1\n' * 22)),
        Target('dataset, 3D', 'data_3d_x.npz', positions, use_dataset, npz_of, damage_entries),
        Target('dataset, 2D', 'data_2d_x_det.npz', keypoints, use_dataset, npz_of, damage_entries,
               beside=lambda: {'data_3d_x.npz': npz_of(positions()[0])}),
    ]


def h5_files(name: str, shape: tuple[int, ...]) -> list[bytes]:
    """Plain, compressed in chunks, of integers, big-endian, and with what else such a file may have."""
    numbers = np.random.default_rng(0).uniform(0, 1000, shape)
    chunked, other = io.BytesIO(), io.BytesIO()
    with h5py.File(chunked, 'w') as file:
        file.create_dataset(name, data=numbers, chunks=shape, compression='gzip', shuffle=True, fletcher32=True)
    with h5py.File(other, 'w', libver='latest') as file:
        file.create_dataset(name, data=numbers.astype('>f4'), maxshape=(None,) * len(shape), chunks=shape)
        file[name].attrs['unit'] = 'mm'
        file['other'] = h5py.SoftLink(f'/{name}')
    return [make.h5_bytes(name, numbers), make.h5_bytes(name, numbers.astype(np.int32)), chunked.getvalue(),
            other.getvalue()]


def h5_views(first: int = 0) -> dict[str, bytes]:
    content = h5_files('poses', (3, 16, 2))[0]
    return dict.fromkeys(VIEWS[first:], content)


def zips() -> list[bytes]:
    content = h5_files('3D_positions', (96, 3))[0]
    return [make.zip_of({POSITIONS: content, 'h36m/readme.txt': b'hello'}, zipfile.ZIP_DEFLATED),
            make.zip_of({POSITIONS: content})]


def tars() -> list[bytes]:
    long = {'x' * 150: b'hello', **h5_views()}
    return [make.tar_of(h5_views()), make.tar_of(long), make.tar_of({**long, 'é': b''}, format=tarfile.PAX_FORMAT)]


def made(write) -> bytes:
    """The bytes that a function writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'Walking.cdf')
        write(path, np.random.default_rng(0).normal(0, 600, (3, 32, 3)))
        with open(path if os.path.exists(path) else f'{path}.mat', 'rb') as file:
            return file.read()


def tables() -> list[bytes]:
    with open(prepare_data_cmu.TABLE, 'rb') as file:
        return [file.read(), b'actor,trial,subject,action\n2,1,S9,Walking\n2,2-9,S9,-\n7,*,S1,\n']


def use_motions(path: str) -> None:
    prepare_data_cmu.read_database(os.path.dirname(path), TABLE, 60)


def training_file(name: str) -> bytes:
    """A file of the training set of MPI-INF-3DHP."""
    with tempfile.TemporaryDirectory() as folder:
        make_3dhp.write_training_set(pathlib.Path(folder))
        return pathlib.Path(folder, 'S1', 'Seq1', name).read_bytes()


def graphmlp() -> tuple[bytes, bytes]:
    """The entries of the 3D and of the 2D file."""
    positions, keypoints = make_3dhp.graphmlp(make_3dhp.person() * 1000 + (0, 0, 4000))
    return pickled_entries(positions_3d=positions), pickled_entries(positions_2d=keypoints)


def use_3dhp(path: str) -> None:
    Prepared(sources_3dhp.JOINTS, 25).add(sources_3dhp.read_training_set(path, 'univ_annot3'))


def humaneva(size: int) -> bytes:
    """The entries of the 3D file, or of the 2D file."""
    take = np.random.default_rng(0).normal(size=(4, 15, size)).astype(np.float32)
    entry: Any = take if size == 3 else [take] * 3
    return pickled_entries(**{f'positions_{size}d': {'Train/S1': {'Walking 1 chunk0': entry, 'Jog 1 chunk1': entry}}})


def use_humaneva_2d(path: str) -> None:
    prepare_data_humaneva.read_keypoints(path, {'Train/S1': {'Walking 1 chunk0': [('Walking 1 chunk0', slice(1, 3))]}})


def use_calibration(path: str) -> None:
    prepare_data_humaneva.read_calibration(str(pathlib.Path(path).parents[2]), 'S1')


def positions() -> list[bytes]:
    return [pickled_entries(positions_3d=moving_people(frames=3)),
            pickled_entries(positions_3d=moving_people(('S1',), ('Walking',), 3), fps=np.array(60))]


def keypoints() -> list[bytes]:
    return [pickled_entries(positions_2d=pixels_of(moving_people(frames=3)), metadata={'num_joints': 16})]


def use_dataset(path: str) -> None:
    """Load a dataset and pair it, with the 2D file beside it if there is one."""
    folder = os.path.dirname(path)
    dataset = loading.load_dataset('x', folder)
    found = loading.load_keypoints(dataset, 'det' if 'data_2d' in path else 'gt', folder)
    pair(dataset, found, dataset.subjects, dataset.kinds)
