"""Writes a person's joints as markers, `.trc`, for OpenSim, Pose2Sim, Sports2D and other tools of biomechanics.

The header has the five lines and the empty one that OpenSim's reader (`TRCFileAdapter`) checks and that `read_trc` of
Pose2Sim and Sports2D expects. Markers have these tools' names; metres, y up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from common.files.atomic import atomic_write
from common.progress import with_progress

NAMES = {'RFoot': 'RAnkle', 'LFoot': 'LAnkle', 'Thorax': 'Neck'}  # where they differ from the 16 joints' names


def write_trc(path: str, positions: np.ndarray, names: Sequence[str], frames: np.ndarray, rate: float) -> None:
    """Write the joints of one person.

    Args:
        positions: (T, J, 3) metres in the room, y up; NaN where there is no pose.
        names: of the J joints.
        frames: (T,) their numbers, evenly spaced.
        rate: frames a second, counted by these numbers.
    Raises:
        UserError: the file cannot be written.
    """
    step = int(frames[1] - frames[0]) if len(frames) > 1 else 1
    markers = [re.sub(r'\s+', '_', NAMES.get(name, name)) for name in names]
    kept = f'{rate / step:g}'
    values = [kept, kept, len(frames), len(markers), 'm', kept, frames[0], len(frames)]
    lines = [f'PathFileType\t4\t(X/Y/Z)\t{os.path.basename(path)}',
             'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames',
             '\t'.join(map(str, values)),
             'Frame#\tTime\t' + ''.join(f'{marker}\t\t\t' for marker in markers),
             '\t\t' + '\t'.join(f'X{number}\tY{number}\tZ{number}' for number in range(1, len(markers) + 1)), '']
    row = '%d\t%.6f' + '\t%.6f' * 3 * len(markers) + '\n'
    with atomic_write(path, 'w') as file:
        file.write('\n'.join(lines) + '\n')
        for frame, pose in zip(with_progress('writing', frames.tolist()), positions.reshape(len(frames), -1)):
            file.write(row % (frame, frame / rate, *pose.tolist()))
