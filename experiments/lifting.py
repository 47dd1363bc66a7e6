"""How much do the framing and the detector's layout change the result of a checkpoint that sees the image?

    python -m experiments.lifting CHECKPOINT                      # S9 of the demo data
    python -m experiments.lifting CHECKPOINT data_3d_cmu.npz      # S9 of another file

Conclusions: docs/measurements/lifting.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from common.datasets import h36m
from common.errors import run_script
from common.evaluation.metrics import mpjpe, p_mpjpe
from common.files.npz import read_npz
from common.geometry import body
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.lifter import Lifter
from data.prepare_data_demo import make_demo
from experiments.layouts import spread, with_face

EVERY = 2
SQUARE, WIDE = (1000, 1000), (1920, 1080)
FRAMINGS = {'as in training': (1, (0, 0), SQUARE), 'the same pixels': (1, (460, 40), WIDE),
            'half the size': (0.5, (500, 300), WIDE), '0.3 of the size, at the edge': (0.3, (1500, 400), WIDE)}


def views(takes: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every take in every camera of S9 with a square image: (T, 21, 2) pixels, and (T, 16, 3) metres."""
    for take in takes:
        poses = with_face(take[::EVERY, h36m.KEPT_JOINTS])
        for camera in h36m.cameras()['S9']:
            positions = world_to_camera(poses, camera)
            pixels = image_coordinates(project(positions, camera).astype(float), *SQUARE)
            yield pixels, (positions - positions[:, :1])[:, :body.JOINTS]


def errors(lifted: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> str:
    """MPJPE and P-MPJPE in mm, as text, of lists of (T, 16, 3) metres."""
    pair = [torch.from_numpy(np.concatenate(positions)).double() for positions in (lifted, truth)]
    return ', '.join(f'{1000 * measure(*pair).mean():.1f}' for measure in (mpjpe, p_mpjpe))


def main() -> None:
    torch.set_num_threads(1)
    lift = Lifter(sys.argv[1])
    world = read_npz(sys.argv[2], ('positions_3d',))['positions_3d'] if len(sys.argv) > 2 else make_demo()
    pixels, truth = zip(*views(world['S9'].values()))
    direct = [lift(view[:, :body.JOINTS], SQUARE, 'h36m16') for view in pixels]
    print(f'{sum(map(len, pixels)):,} poses\nlayout, mm from h36m16, MPJPE and P-MPJPE')
    for name in LAYOUTS:
        lifted = [lift(spread(view, name), SQUARE, name) for view in pixels]
        away = np.linalg.norm(np.concatenate(lifted) - np.concatenate(direct), axis=-1)
        print(f'{name:12} {1000 * away.mean():6.1f}   {errors(lifted, truth)}')
    print('framing, MPJPE and P-MPJPE, the same with center_crop')
    for name, (scale, shift, size) in FRAMINGS.items():
        results = [[lift(view[:, :body.JOINTS] * scale + shift, size, 'h36m16', center_crop=crop) for view in pixels]
                   for crop in (False, True)]
        print(f'{name:30} {" | ".join(errors(lifted, truth) for lifted in results)}')


if __name__ == '__main__':
    run_script(main)
