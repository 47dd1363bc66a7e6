"""The table of docs/measurements/detector_formats.md: the same people in every detector's file.

    python -m benchmarks.detector_formats CHECKPOINT
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.detector_files import FORMATS, MORE, SIZE, write
from benchmarks.layouts import spread, with_face
from common.datasets import h36m
from common.errors import run_script
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.lifting.layouts import JOINTS
from common.lifting.lifter import Lifter
from common.lifting.prediction import Options, run
from data.prepare_data_demo import make_demo

FRAMES = 40


def people() -> dict[str, np.ndarray]:
    """{name: (T, 21, 2) pixels} of somebody who walks, and of the same who turns once on the spot."""
    camera = h36m.cameras()['S9'][1]
    walking = make_demo()['S9']['Walking'][:FRAMES, h36m.KEPT_JOINTS]
    hip = walking[:1, :1] * (1, 1, 0)
    angles = np.linspace(0, 2 * np.pi, FRAMES)
    turns = np.zeros((FRAMES, 3, 3))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 0, 1], turns[:, 1, 0], turns[:, 2, 2] = -np.sin(angles), np.sin(angles), 1
    turning = (walking[:1] - hip) @ turns.transpose(0, 2, 1) + hip
    seen = {}
    for name, world in (('walking', walking), ('turning', turning)):
        projected = project(world_to_camera(with_face(world.astype(np.float32)), camera), camera)
        seen[name] = image_coordinates(projected.astype(float), *SIZE)
    return seen


def lifted(checkpoint: str, format: str, joints: np.ndarray, layout: str) -> np.ndarray:
    """(T, 16, 3) metres that predict.py writes for a file of this format."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), format, [joints])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(Options(checkpoint, str(path), f'{folder}/out.npz', size=SIZE, center_crop=True, smooth=False,
                        layout=layout if format in ('npy', 'npz', 'people_npy') else None))
        return np.load(f'{folder}/out.npz')['positions_3d']


def main() -> None:
    checkpoint = sys.argv[1]
    lift = Lifter(checkpoint)
    print('| format | layout | walking | turning | walking, same layout | turning, same layout |')
    print('|---|---|---|---|---|---|')
    seen = people()
    for format in (*FORMATS, *MORE):
        layout = MORE.get(format, 'body25' if format == 'openpose' else 'coco17')
        cells = []
        for same_layout in (False, True):
            for pixels in seen.values():
                joints = spread(pixels, layout)
                made = lifted(checkpoint, format, joints, layout)
                direct = lift(joints, SIZE, layout, center_crop=True) if same_layout else \
                    lift(pixels[:, :JOINTS], SIZE, 'h36m16', center_crop=True)
                away = np.linalg.norm(made - direct[:len(made)], axis=-1) if len(made) == len(pixels) else None
                cells.append('one frame' if away is None else f'{1000 * away.mean():.1f}')
        print(f'| {format} | {layout} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    run_script(main)
