"""The lifter: a checkpoint that maps keypoints in pixels to positions in metres.

    from predict import Lifter
    lift = Lifter()                                         # the weights that come with the project
    positions = lift(keypoints, (1920, 1080), 'coco17')     # (17, 2) or (T, 17, 2) -> (16, 3) or (T, 16, 3)
    live = lift.live((1920, 1080), 'coco17', fps=30)        # pose by pose, smoothed
    positions = live(keypoints)                             # (17, 2) -> (16, 3)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from common.checkpoint import load_checkpoint, restore_model
from common.errors import UserError
from common.geometry import body
from common.geometry.camera import default_focal, normalize_screen
from common.geometry.detector_layouts import TRAINED_ON, Layout, layout_named
from common.geometry.mirror import Mirror
from common.geometry.person import person_ray, person_windows, window_stride
from common.inference import for_inference, predict
from common.lifting.anatomy import anatomy_of
from common.lifting.motion.root import USUAL_FPS, CameraView, rays
from common.lifting.motion.smoothing import OneEuro, runs
from common.lifting.tracks import framing

WILD_WEIGHTS = os.path.join('checkpoint', 'pretrained', 'semgcn_wild.pth.tar')
DEFAULT_CHECKPOINT = os.path.join(os.path.dirname(__file__), '..', '..', WILD_WEIGHTS)
_CHUNK = 1 << 14  # poses lifted at a time, so that copies do not grow with the clip


class Lifter:
    """Lifts 2D keypoints to 3D with one checkpoint.

    Args:
        checkpoint: its file; the weights that come with the project by default.
        device: of PyTorch; the CPU is the fastest for a pose at a time.
        trained_on: 'gt' or 'sh', for checkpoints that do not record it; 'gt' if left out.
    Attributes:
        skeleton: of the poses that it lifts to; the 16 joints for most checkpoints. Others take keypoints of their own
            joints.
        anatomy: what can be done with this skeleton.
        normalization: of the checkpoint: 'image', or 'person', which needs no framing and can guess hidden joints.
        trained_on: the 2D of its training, on which Spine and Thorax of MPII-like keypoints depend.
        basis: the source of `trained_on`: 'recorded', 'given' or 'assumed'.
        virtual: whether this 2D was simulated, for virtual cameras (`--recipe wild`).
        mirror: for networks of virtual cameras that were trained on mirrored samples: each pose is the mean of the
            predictions for it and for its mirror image.
        range: place and size of the training poses in the image, see `common.lifting.tracks.framing`.
    Raises:
        UserError: the checkpoint cannot be used, or contradicts `trained_on`.
    """

    def __init__(self, checkpoint: str | None = None, device: str | torch.device = 'cpu',
                 trained_on: str | None = None) -> None:
        self.path, self.device = checkpoint or os.path.normpath(DEFAULT_CHECKPOINT), torch.device(device)
        loaded = load_checkpoint(self.path)
        self.skeleton = loaded.skeleton or body.SKELETON
        self.anatomy = anatomy_of(self.skeleton)
        self.description, self.normalization, self.window = (loaded.config.describe(), loaded.normalization,
                                                             loaded.config.window)
        # Folded once; predict leaves a folded network as it is.
        self.model = for_inference(restore_model(loaded, self.path, self.skeleton)).to(self.device)
        recorded = loaded.recipe.get('keypoints')
        own = None if not isinstance(recorded, str) else 'sh' if recorded.startswith('sh') else 'gt'
        if trained_on not in (None, *TRAINED_ON):
            raise UserError(f'trained_on is {trained_on!r} instead of gt or sh.')
        if own and trained_on and own != trained_on:
            raise UserError(f'--trained_on {trained_on} contradicts {self.path}, which was trained on {recorded}; '
                            f'leave the flag out.')
        self.trained_on = own or trained_on or 'gt'
        self.basis = 'recorded' if own else 'given' if trained_on else 'assumed'
        self.virtual = bool(loaded.recipe.get('virtual'))
        self.mirror = Mirror(self.skeleton, self.device) if self.virtual and loaded.recipe.get('flip') else None
        self.fewest = loaded.fewest_visible
        self.guesses = self.fewest < 1
        self.range = framing.usable_range(loaded.keypoints_range) or framing.DEFAULT_RANGE

    def __call__(self, keypoints: np.ndarray, size: tuple[int, int], layout: str | Layout | None = None,
                 center_crop: bool = False, fps: float = USUAL_FPS, focal: float | None = None) -> np.ndarray:
        """Lift one pose, or all poses of one person.

        Args:
            keypoints: (J, 2 or 3) or (T, J, 2 or 3) pixels, y down; a third column (scores) is not used; NaN where a
                joint is missing.
            size: width and height of the image, pixels.
            layout: a name of `detector_layouts.LAYOUTS`; may be left out where J decides it (25, 26 and 33 joints).
            center_crop: frame the person as the training cameras would, with one scale for all T.
            fps: frames a second.
            focal: focal length, pixels; `default_focal` if left out.
        Returns:
            (16, 3) or (T, 16, 3) float32 (J of another skeleton), metres from the hip; x right, y down, z forward. NaN
            where not lifted: where a joint is missing, or too many for a network that guesses hidden joints.
        Raises:
            UserError: nothing decides the layout.
            ValueError: the shape is another, or the size is not two positive numbers.
        """
        points = self.joints(keypoints, size, layout)
        view = CameraView(size, focal or default_focal(size), fps)
        positions, _ = self.lift_track(points.reshape(-1, *points.shape[-2:]), view, center_crop)
        return positions.reshape(*points.shape[:-1], 3)

    def training(self) -> str:
        """The data that the checkpoint was trained on, and where that is recorded."""
        data = 'simulated detections of virtual cameras' if self.virtual else {
            'gt': 'ground truth', 'sh': 'Stacked Hourglass detections'}[self.trained_on]
        how = {'recorded': 'as it records', 'given': 'as --trained_on states',
               'assumed': 'which is assumed, as the file does not record it; otherwise give --trained_on sh'}
        return f'trained on {data}, {how[self.basis]}'

    def joints(self, keypoints: np.ndarray, size: tuple[int, int], layout: str | Layout | None) -> np.ndarray:
        """The joints of the skeleton, in pixels, of keypoints as for a call."""
        points = np.asarray(keypoints, np.float64)
        if points.ndim not in (2, 3) or points.shape[-1] not in (2, 3):
            raise ValueError(f'keypoints must be (J, 2 or 3) or (T, J, 2 or 3), not {points.shape}')
        if not (size[0] > 0 and size[1] > 0):
            raise ValueError(f'size must be the width and height of the image, not {size}')
        if isinstance(layout, str):
            layout = layout_named(layout)
        return self.anatomy.joints(points[..., :2], layout, self.trained_on, self.path)

    def live(self, size: tuple[int, int], layout: str | None = None, fps: float = USUAL_FPS,
             smooth: OneEuro | None = None) -> Callable[[np.ndarray], np.ndarray]:
        """A function that lifts the next pose of one person, smoothed by the One-Euro filter.

        Args:
            size, layout: as for a call.
            fps: frames a second.
            smooth: the filter, with parameters of its own.
        Returns:
            the function (J, 2 or 3) -> (16, 3) float32. Its window has the poses so far; the newest one also stands
            where later ones would.
        """
        euro = smooth or OneEuro()
        before: deque[np.ndarray] = deque(maxlen=self.window // 2 * window_stride(fps) + 1)

        def lift_next(keypoints: np.ndarray) -> np.ndarray:
            before.append(self.joints(keypoints, size, layout))
            view = CameraView(size, default_focal(size), fps)
            positions = self.lift_track(np.stack(before), view, last_only=True)[0][-1]
            if not np.isfinite(positions).all():
                euro.reset()
                return positions
            return euro(positions, 1 / fps).astype(np.float32)
        return lift_next

    def lift_track(self, keypoints: np.ndarray, view: CameraView, center_crop: bool = False, last_only: bool = False,
                   report: Callable[[int], object] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lift one person through a clip.

        Args:
            keypoints: (T, 16, 2) pixels; NaN where a joint is missing.
            last_only: lift only the last frame.
            report: called with the number of frames that were lifted since the last call.
        Returns:
            positions (T, 16, 3) metres from the hip, camera axes, NaN where a frame is not lifted; and (T, 16) the
            joints that were guessed.
        """
        poses = normalize_screen(keypoints, *view.size)
        if self.normalization == 'person':
            return self._lift_person(poses, keypoints, view, last_only, report)
        if center_crop:
            poses = framing.center_crop(poses, self.range)
        return self.lift(poses, report), np.zeros(keypoints.shape[:2], bool)

    def _lift_person(self, poses: np.ndarray, keypoints: np.ndarray, view: CameraView, last_only: bool,
                     report: Callable[[int], object] | None) -> tuple[np.ndarray, np.ndarray]:
        visible = np.isfinite(keypoints).all(-1)
        usable = visible.sum(1) >= visible.shape[1] * self.fewest
        positions = np.full((*visible.shape, 3), np.nan, np.float32)
        points = torch.from_numpy(poses.astype(np.float32))
        for first, end in runs(usable):
            for start in range(end - 1 if last_only else first, end, _CHUNK):
                frames = np.arange(start, min(start + _CHUNK, end))
                inputs = person_windows(points, torch.from_numpy(frames), first, end - 1, self.window, view.rate)
                ray = person_ray(torch.from_numpy(rays(keypoints[frames], view)))
                positions[frames] = predict(self.model, inputs.to(self.device), mirror=self.mirror,
                                            rays=ray.to(self.device, torch.float32)).cpu().numpy()
                if report:
                    report(len(frames))
        if self.virtual and self.skeleton.names == body.NAMES:  # detectors find no bones of the trunk
            positions[:, body.SPINE], positions[:, body.THORAX] = body.trunk_joints(positions)
        return positions, ~visible & np.isfinite(positions[:, :1, 0])

    def lift(self, poses: np.ndarray, report: Callable[[int], object] | None = None) -> np.ndarray:
        """Lift inputs (N, J, 2 W) of the network to (N, J, 3) metres from the root; NaN where a joint is missing.

        Args:
            report: as of `lift_track`.
        """
        positions = np.full((*poses.shape[:2], 3), np.nan, np.float32)
        for start in range(0, len(poses), _CHUNK):
            part, lifted = poses[start:start + _CHUNK], positions[start:start + _CHUNK]
            whole = np.isfinite(part).all((1, 2))
            if whole.any():
                inputs = torch.from_numpy(part[whole].astype(np.float32)).to(self.device)
                lifted[whole] = predict(self.model, inputs).cpu().numpy()
            if report:
                report(len(part))
        return positions
