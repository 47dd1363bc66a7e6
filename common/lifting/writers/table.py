"""Writes a person's joints as a table, `.csv`: a row for each frame, a column for each coordinate."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np

from common.files.atomic import atomic_write
from common.progress import with_progress


def write_csv(path: str, positions: np.ndarray, names: Sequence[str], frames: np.ndarray, rate: float) -> None:
    """Write the joints of one person. Columns: frame, time (seconds), then `hip_x`, `hip_y`, `hip_z` and so on.

    Args:
        positions: (T, J, 3) metres; cells are empty where there is no pose.
        names: of the J joints, written in lower case.
        frames: (T,) their numbers.
        rate: frames a second, counted by these numbers.
    Raises:
        UserError: the file cannot be written.
    """
    row = '%d,%.6f' + ',%.6f' * (3 * len(names)) + '\n'
    with atomic_write(path, 'w') as file:
        coordinates = [f'{name.lower()}_{axis}' for name in names for axis in 'xyz']
        csv.writer(file, lineterminator='\n').writerow(['frame', 'time', *coordinates])
        for frame, pose in zip(with_progress('writing', frames.tolist()), positions.reshape(len(frames), -1)):
            file.write((row % (frame, frame / rate, *pose.tolist())).replace('nan', ''))
