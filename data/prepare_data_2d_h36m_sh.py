"""Make the 2D files of Stacked Hourglass detections on Human3.6M, from Martinez et al.'s archives.

    python data/prepare_data_2d_h36m_sh.py -pt h36m.zip          # or the folder into which it was unpacked
    python data/prepare_data_2d_h36m_sh.py -ft stacked_hourglass_fined_tuned_240.tar.gz
    python data/prepare_data_2d_h36m_sh.py --check
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets.h36m import cameras, skeleton
from common.errors import UserError, listing, run_script
from common.geometry.detector_layouts import LAYOUTS
from data import archives, preparation

PRETRAINED = 'data_2d_h36m_sh_pt_mpii.npz'
FINE_TUNED = 'data_2d_h36m_sh_ft_h36m.npz'
FILES = 7 * 30 * 4 - 1  # in the archive of fine-tuned detections; S11 lacks one
CAMERA_IDS = [camera.name for camera in cameras()['S1']]
# From the detector's order to the 16 joints. The published networks were trained on detections whose thorax and upper
# neck stand for Spine and Thorax, and this order gives them the same.
SH_TO_H36M = [joint for (joint,) in LAYOUTS['mpii16'].sources('sh')]


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Make 2D files from Stacked Hourglass detections, or check them.')
    parser.add_argument('-pt', '--pretrained', metavar='FILE',
                        help=f"Martinez et al.'s h36m.zip or its folder, for {PRETRAINED}")
    parser.add_argument('-ft', '--fine-tuned', metavar='FILE',
                        help=f'stacked_hourglass_fined_tuned_240.tar.gz or its folder, for {FINE_TUNED}')
    parser.add_argument('--check', action='store_true',
                        help='print the counts of the existing files beside the counts of Human3.6M')
    preparation.add_output_flags(parser)
    return parser


def main() -> None:
    parser = get_args_parser()
    args = parser.parse_args()
    if args.check:
        preparation.check_files(args.output)
        return
    sources = [(archive, os.path.join(args.output, name), read) for archive, name, read in
               ((args.pretrained, PRETRAINED, read_zip), (args.fine_tuned, FINE_TUNED, read_tar)) if archive]
    if not sources:
        parser.error('give -pt FILE, -ft FILE or --check')
    for _, output, _ in sources:
        preparation.keep_existing(output, args.force)
    for archive, output, read in sources:
        preparation.save(output, positions_2d=read(archive), metadata=preparation.keypoints_metadata(skeleton()))
        preparation.print_h36m_table(output)


def read_zip(path: str) -> dict[str, dict[str, list[np.ndarray]]]:
    """Detections of h36m.zip: {subject: {action: 4 x float32 (T, 16, 2)}}, pixels."""
    return _detections(path, 'StackedHourglass', archives.zip_members)


def read_tar(path: str) -> dict[str, dict[str, list[np.ndarray]]]:
    """Fine-tuned detections of their own archive, as `read_zip`."""
    return _detections(path, 'StackedHourglassFineTuned240', partial(archives.tar_members, expected=FILES))


def _detections(path: str, folder: str, read_members: Callable[[str, archives.Choose], Iterator[archives.Member]]
                ) -> dict[str, dict[str, list[np.ndarray]]]:
    pattern = re.compile(rf'(?:^|/)(S\d+)/{folder}/([^/]+)\.(\d+)\.h5$')

    def choose(name: str) -> tuple[str, str, str] | None:
        match = pattern.search(name)
        if not match or match[3] not in CAMERA_IDS:
            return None
        found = preparation.sequence(match[1], match[2].replace('_', ' '))
        return (*found, match[3]) if found else None

    views: dict[str, dict[str, dict[str, np.ndarray]]] = {camera: {} for camera in CAMERA_IDS}
    for where, (subject, action, camera), content in read_members(path, choose):
        poses = preparation.checked(archives.read_h5(content, 'poses', where), (None, 16, 2), where)
        poses = np.ascontiguousarray(poses[:, SH_TO_H36M], dtype=np.float32)
        preparation.add_sequence(views[camera], subject, action, poses, where)
    if not any(views.values()):
        raise UserError(f'{path} has nothing like S1/{folder}/Directions_1.54138969.h5, so it is not the archive of '
                        'Martinez et al. for this option.')
    return {subject: _four_views(path, subject, views) for subject in preparation.SUBJECTS
            if any(subject in view for view in views.values())}


def _four_views(path: str, subject: str, views: dict[str, dict[str, dict[str, np.ndarray]]]
                ) -> dict[str, list[np.ndarray]]:
    """{action: its four views} of one subject; it is an error if only some cameras have a sequence."""
    by_camera = [view.get(subject, {}) for view in views.values()]
    for action in sorted(set().union(*by_camera)):
        lacking = [camera for camera, view in zip(CAMERA_IDS, by_camera) if action not in view]
        if lacking:
            raise UserError(f'{path} lacks {subject} {action!r} of camera {listing(lacking)}, but has it of other '
                            'cameras; fetch the archive again.')
    return {action: [view[action] for view in by_camera] for action in sorted(by_camera[0])}


if __name__ == '__main__':
    run_script(main)
