"""The lifter: a checkpoint, called with keypoints in pixels, answers with positions in metres.

    from predict import Lifter
    lift = Lifter('checkpoint/pretrained/ckpt_semgcn.pth.tar')
    positions = lift(keypoints, (1920, 1080), 'coco17')     # (17, 2) or (T, 17, 2) -> (16, 3) or (T, 16, 3)
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

from common.checkpoint import load_checkpoint, restore_model
from common.datasets import h36m
from common.errors import UserError
from common.geometry.camera import normalize_screen
from common.inference import for_inference, predict
from common.lifting.layouts import JOINTS, TRAINED_ON, Layout, choose_layout, layout_named, to_h36m
from common.lifting.motion.root import Shot
from common.lifting.tracks import framing

_CHUNK = 1 << 16  # poses lifted at a time, so that copies of them do not grow with the clip
AXES = 'x right, y down, z forward (camera axes)'
AXES_UP = 'x right, y forward, z up (camera axes, leveled)'


class Lifter:
    """Lifts 2D keypoints to 3D with one checkpoint.

    Args:
        checkpoint: its file.
        device: of PyTorch; the CPU is the fastest for a pose at a time.
        trained_on: 'gt' or 'sh', for checkpoints that do not tell; 'gt' if left out.
    Attributes:
        trained_on: which it is: Spine and Thorax of MPII-like keypoints depend on it.
        told: how that is known: 'recorded', 'given' or 'assumed'.
        range: where training poses were in the image, see `common.lifting.tracks.framing`.
        range_recorded: whether the checkpoint tells that.
    Raises:
        UserError: the checkpoint cannot be used, or contradicts `trained_on`.
    """

    def __init__(self, checkpoint: str, device: str | torch.device = 'cpu', trained_on: str | None = None) -> None:
        loaded = load_checkpoint(checkpoint)
        self.path, self.device = checkpoint, torch.device(device)
        self.description = loaded.config.describe()
        # Folded once; predict leaves a folded network as it is.
        self.model = for_inference(restore_model(loaded, checkpoint, h36m.skeleton())).to(self.device)
        recorded = loaded.recipe.get('keypoints')
        known = None if not isinstance(recorded, str) else 'sh' if recorded.startswith('sh') else 'gt'
        if trained_on not in (None, *TRAINED_ON):
            raise UserError(f'trained_on is {trained_on!r} instead of gt or sh.')
        if known and trained_on and known != trained_on:
            raise UserError(f'--trained_on {trained_on} contradicts {checkpoint}, which was trained on {recorded}; '
                            f'leave the flag out.')
        self.trained_on = known or trained_on or 'gt'
        self.told = 'recorded' if known else 'given' if trained_on else 'assumed'
        recorded_range = framing.usable_range(loaded.keypoints_range)
        self.range_recorded = recorded_range is not None
        self.range = recorded_range or framing.DEFAULT_RANGE

    def __call__(self, keypoints: np.ndarray, size: tuple[int, int], layout: str | Layout | None = None,
                 center_crop: bool = False) -> np.ndarray:
        """Lift one pose, or all poses of one person.

        Args:
            keypoints: (J, 2 or 3) or (T, J, 2 or 3) pixels, y down; a third column (scores) is not used; a pose with a
                NaN among the joints that count is not lifted.
            size: width and height of the image, pixels.
            layout: a name of `layouts.LAYOUTS`; may be left out where J decides it (25, 26 and 33 joints).
            center_crop: frame the person as the training cameras would; over all T together.
        Returns:
            (16, 3) or (T, 16, 3) float32, metres from the hip; x right, y down, z forward. NaN where not lifted.
        Raises:
            UserError: nothing tells the layout.
            ValueError: the shape is another, or the size is not two positive numbers.
        """
        points = np.asarray(keypoints, np.float64)
        if points.ndim not in (2, 3) or points.shape[-1] not in (2, 3):
            raise ValueError(f'keypoints must be (J, 2 or 3) or (T, J, 2 or 3), not {points.shape}')
        width, height = size
        if not (width > 0 and height > 0):
            raise ValueError(f'size must be the width and height of the image, not {size}')
        if isinstance(layout, str):
            layout = layout_named(layout)
        layout = choose_layout(points.shape[-2], layout.name if layout else None)
        points = points[..., :2]
        if layout.name != 'h36m16':
            points, _ = to_h36m(points, np.ones(points.shape[:-1]), layout, self.trained_on)
        normalized = normalize_screen(points, width, height)
        poses = normalized.reshape(-1, JOINTS, 2)
        if center_crop:
            poses = framing.center_crop(poses, self.range)
        return self.lift(poses).reshape(*points.shape[:-1], 3)

    def lift_track(self, keypoints: np.ndarray, shot: Shot, center_crop: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Lift one person through a clip.

        Args:
            keypoints: (T, 16, 2) pixels; NaN where a joint is missing.
        Returns:
            positions (T, 16, 3) metres from the hip, camera axes, NaN where a frame is not lifted; and (T, 16) the
            joints that were guessed.
        """
        poses = normalize_screen(keypoints, *shot.size)
        if center_crop:
            poses = framing.center_crop(poses, self.range)
        return self.lift(poses), np.zeros(keypoints.shape[:2], bool)

    def lift(self, poses: np.ndarray) -> np.ndarray:
        """Lift (N, 16, 2) normalised poses to (N, 16, 3) metres; NaN where a pose is not whole."""
        positions = np.full((len(poses), JOINTS, 3), np.nan, np.float32)
        for start in range(0, len(poses), _CHUNK):
            part, lifted = poses[start:start + _CHUNK], positions[start:start + _CHUNK]
            whole = np.isfinite(part).all((1, 2))
            if whole.any():
                inputs = torch.from_numpy(part[whole].astype(np.float32)).to(self.device)
                lifted[whole] = predict(self.model, inputs).cpu().numpy()
        return positions


@cache
def usual_pitch() -> float:
    """How far down Human3.6M's cameras look, degrees: the mean of its cameras, about 12.7."""
    forward = [camera.orientation for subject in h36m.cameras().values() for camera in subject]
    # The camera's forward axis in the world, z component: the last entry of the rotation matrix, 1 - 2 (x^2 + y^2).
    down = [-(1 - 2 * (x * x + y * y)) for _, x, y, _ in forward]
    return math.degrees(sum(map(math.asin, down)) / len(down))


def turn_up(positions: np.ndarray, pitch: float) -> np.ndarray:
    """Turn positions (..., 3) in camera axes upright: x right, y forward along the floor, z up.

    Args:
        pitch: how far down the camera looks, degrees.
    """
    sine, cosine = math.sin(math.radians(pitch)), math.cos(math.radians(pitch))
    turn = np.array([[1, 0, 0], [0, -sine, cosine], [0, -cosine, -sine]], positions.dtype)
    return positions @ turn.T
