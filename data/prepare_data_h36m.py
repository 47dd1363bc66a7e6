"""Make data_3d_h36m.npz from Human3.6M: Martinez et al.'s archive, or the original .cdf or .cdf.mat files.

    python data/prepare_data_h36m.py --from-archive h36m.zip   # or the folder into which it was unpacked
    python data/prepare_data_h36m.py --from-source DIR   # has S1/MyPoseFeatures/D3_Positions/Directions.cdf and so on
    python data/prepare_data_h36m.py --check
"""

import argparse
import glob
import math
import os
import re
import sys

import cdflib
import numpy as np
import scipy.io

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.errors import UserError, listing, run_script
from data import archives, preparation

NAME = 'data_3d_h36m.npz'
ARCHIVED = re.compile(r'(?:^|/)(S\d+)/MyPoses/3D_positions/([^/]+)\.h5$')
CDF_3 = bytes.fromhex('cdf300010000ffff')  # first bytes of an uncompressed file of version 3
PATIENCE = 5  # seconds to read a file; an intact file takes some hundredths
MEMORY = 1 << 30  # bytes to read a file; an intact file takes some MB
# Folders of the original release, and of h36m-fetch inside and outside its folder `extracted`.
SOURCE_FOLDERS = [os.path.join('*', 'MyPoseFeatures', 'D3_Positions'), os.path.join('*', 'Poses_D3_Positions'),
                  os.path.join('extracted', '*', 'Poses_D3_Positions')]


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Make data_3d_h36m.npz, or check the existing files.')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--from-archive', metavar='FILE', help="Martinez et al.'s h36m.zip, or its folder")
    source.add_argument('--from-source', '--from-source-cdf', metavar='DIR',
                        help='folder of the original release, DIR/S1/MyPoseFeatures/D3_Positions/*.cdf or '
                             '*.cdf.mat, or of h36m-fetch, DIR/S1/Poses_D3_Positions/*.cdf')
    source.add_argument('--check', action='store_true',
                        help='print the counts of the existing files beside the counts of Human3.6M')
    preparation.add_output_flags(parser)
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    if args.check:
        preparation.check_files(args.output)
        return
    output = os.path.join(args.output, NAME)
    preparation.keep_existing(output, args.force)
    positions = read_archive(args.from_archive) if args.from_archive else read_source(args.from_source)
    preparation.save(output, positions_3d=positions)
    preparation.print_h36m_table(output)


def read_archive(path: str) -> dict[str, dict[str, np.ndarray]]:
    """Positions of h36m.zip: {subject: {action: float32 (T, 32, 3)}}, metres."""
    positions: dict[str, dict[str, np.ndarray]] = {}
    for where, (subject, action), content in archives.zip_members(path, _archived):
        coordinates = preparation.checked(archives.read_h5(content, '3D_positions', where), (96, None), where)
        poses = coordinates.reshape(32, 3, -1).transpose(2, 0, 1)
        preparation.add_sequence(positions, subject, action, in_metres(poses), where)
    if not positions:
        raise UserError(f'{path} has nothing like h36m/S1/MyPoses/3D_positions/Directions.h5, '
                        'so it is not the h36m.zip of Martinez et al.')
    return preparation.in_order(positions)


def read_source(folder: str) -> dict[str, dict[str, np.ndarray]]:
    """Positions of the original release, as `read_archive`."""
    positions: dict[str, dict[str, np.ndarray]] = {}
    with archives.worker(MEMORY) as pool:
        for path, subject, action in archives.progress(_source_files(folder)):
            poses = archives.read_apart(pool, read_mat if path.endswith('.mat') else read_cdf, path, PATIENCE)
            preparation.add_sequence(positions, subject, action, in_metres(poses.reshape(-1, 32, 3)), path)
    if not positions:
        raise UserError(f'{folder} has nothing like {os.path.join("S1", "MyPoseFeatures", "D3_Positions", "")}'
                        'Directions.cdf (or .cdf.mat); unpack the D3_Positions archives of Human3.6M there.')
    return preparation.in_order(positions)


def in_metres(millimetres: np.ndarray) -> np.ndarray:
    """Float32 metres, as in the published file."""
    return np.ascontiguousarray(millimetres / 1000, dtype=np.float32)


def read_cdf(path: str) -> np.ndarray:
    """The variable Pose of a NASA CDF file, (T, 96) millimetres."""
    with archives.damage_as_sentence(path):
        _refuse_cut(path)
        file = cdflib.CDF(path)
        variables = file.cdf_info().zVariables + file.cdf_info().rVariables
        if 'Pose' not in variables:
            raise UserError(f'{path} has no variable Pose; it has {listing(variables, 4) or "none"}.')
        about = file.varinq('Pose')
        archives.refuse_large(path, 8 * (about.Last_Rec + 1) * math.prod(map(int, about.Dim_Sizes)))
        poses = np.asarray(file.varget('Pose'))
    return preparation.checked(poses, (1, None, 96), path)[0]


def read_mat(path: str) -> np.ndarray:
    """As `read_cdf`, from a MATLAB copy of such a file: `data` is a 1x1 cell that holds (T, 96)."""
    with archives.damage_as_sentence(path):
        archives.refuse_large(path, os.path.getsize(path))
        data = scipy.io.loadmat(path, variable_names=['data']).get('data')
    if not isinstance(data, np.ndarray) or data.dtype != object or data.shape != (1, 1) \
            or not isinstance(data[0, 0], np.ndarray):
        raise UserError(f'{path} has no 1x1 cell named data, so it is not a copy of a Human3.6M file.')
    return preparation.checked(data[0, 0], (None, 96), path)


def _refuse_cut(path: str) -> None:
    """Refuse a CDF file that is shorter than it claims: cdflib reads the missing part as zeros."""
    size = os.path.getsize(path)
    archives.refuse_large(path, size)
    with open(path, 'rb') as file:
        if file.read(8) != CDF_3:
            return
        file.seek(20)
        file.seek(int.from_bytes(file.read(8), 'big') + 36)  # in the global descriptor record
        end = int.from_bytes(file.read(8), 'big')
    if size < end:
        raise ValueError(f'it has {size:,} of its {end:,} bytes')


def _archived(name: str) -> tuple[str, str] | None:
    match = ARCHIVED.search(name)
    return preparation.sequence(match[1], match[2]) if match else None


def _source_files(folder: str) -> list[tuple[str, str, str]]:
    """(path, subject, action) of every sequence; where a folder has both kinds of file, the .cdf is used."""
    if not os.path.isdir(folder):
        raise UserError(f'{folder} is not a folder.')
    chosen = {}
    for ending in ('.cdf.mat', '.cdf'):
        for path in sorted(found for place in SOURCE_FOLDERS
                           for found in glob.glob(os.path.join(glob.escape(folder), place, '*' + ending))):
            subject = next(part for part in os.path.relpath(path, folder).split(os.sep) if part != 'extracted')
            action = os.path.basename(path).removesuffix(ending)
            if found := preparation.sequence(subject, action):
                chosen[subject, action] = (path, *found)
    return list(chosen.values())


if __name__ == '__main__':
    run_script(main)
