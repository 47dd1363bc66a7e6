"""What is rendered: a clip of 2D keypoints and the 3D views beside it, and how one is cut from a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from common.datasets.loading import load_keypoints
from common.datasets.mocap import MocapDataset
from common.errors import UserError, listing, warn
from common.evaluation.evaluate import pose_errors
from common.evaluation.metrics import mpjpe
from common.geometry import quaternion
from common.geometry.camera import Camera, image_coordinates, world_to_camera
from common.geometry.skeleton import Skeleton
from common.inference import predict


@dataclass(frozen=True)
class View:
    """One 3D panel.

    Attributes:
        title: short; it stands above the panel.
        positions: (P, T, J, 3) metres, z up, the floor at z = 0; NaN where a joint or a person is missing.
        errors: (T,) mm, shown beside the title; None for a view without.
    """

    title: str
    positions: np.ndarray
    errors: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """Some seconds of P people: what the 2D panel and the 3D panels show. Nothing here knows of datasets.

    Attributes:
        keypoints: (P, T, J, 2) pixels, y down; NaN where a joint or a person is missing.
        image_size: width and height of the image that they lie in, pixels.
        views: the 3D panels, from left to right.
        skeleton: of the J joints.
        fps: frames a second at which it plays.
        start: time of its first frame, seconds, as shown.
        azimuth: degrees; where the 3D views are looked at from, as of matplotlib's `view_init`.
        caption: short; whose clip it is.
    Raises:
        ValueError: the arrays do not fit each other.
    """

    keypoints: np.ndarray
    image_size: tuple[int, int]
    views: Sequence[View]
    skeleton: Skeleton
    fps: float
    start: float = 0.0
    azimuth: float = 70.0
    caption: str = ''

    def __post_init__(self) -> None:
        people, frames, joints = self.keypoints.shape[:3]
        if self.keypoints.shape[2:] != (len(self.skeleton), 2) or not people or not frames:
            raise ValueError(f'keypoints must be (P, T, {len(self.skeleton)}, 2), not {self.keypoints.shape}')
        for view in self.views:
            if view.positions.shape != (people, frames, joints, 3):
                raise ValueError(f'positions must be {(people, frames, joints, 3)}, not {view.positions.shape}')
            if view.errors is not None and view.errors.shape != (frames,):
                raise ValueError(f'errors must be {(frames,)}, not {view.errors.shape}')

    def __len__(self) -> int:
        """Frames."""
        return self.keypoints.shape[1]

    def cut(self, frames: int) -> Clip:
        """Its first frames."""
        views = [dataclasses.replace(view, positions=view.positions[:, :frames],
                                     errors=None if view.errors is None else view.errors[:frames])
                 for view in self.views]
        return dataclasses.replace(self, keypoints=self.keypoints[:, :frames], views=views)


def stand(positions: np.ndarray) -> np.ndarray:
    """Put poses (..., J, 3) with z up on the floor: each is lowered or lifted until its lowest joint is at z = 0."""
    standing = positions.copy()
    standing[..., 2] -= np.fmin.reduce(positions[..., 2], axis=-1)[..., None]  # fmin looks past what is NaN
    return standing


@dataclass(frozen=True)
class Cut:
    """Which frames of a sequence: the first `skip` are left out, then every `downsample`-th is kept, then `limit`."""

    skip: int = 0
    downsample: int = 1
    limit: int = -1

    def of(self, frames: int) -> range:
        """Indices of the frames that are kept of so many; a limit below 1 keeps all."""
        kept = range(self.skip, frames, self.downsample)
        return kept[:self.limit] if self.limit > 0 else kept


def find(dataset: MocapDataset, subject: str | None, action: str | None, camera: int) -> Camera:
    """The camera of a sequence that a user names.

    Raises:
        UserError: the dataset has no such subject, action or camera; it lists what there is.
    """
    if subject not in dataset.subjects:
        what = 'which subject is to be drawn' if subject is None else f'{dataset.name} has no subject {subject}'
        raise UserError(f'--viz_subject: {what}; there are {listing(dataset.subjects)}.')
    if action not in dataset.positions[subject]:
        what = 'which action is to be drawn' if action is None else f'{dataset.name} has no {action} of {subject}'
        raise UserError(f'--viz_action: {what}; there are {listing(dataset.positions[subject], 60)}.')
    cameras = dataset.cameras[subject]
    if not 0 <= camera < len(cameras):
        known = listing(f'{index} ({known.name})' for index, known in enumerate(cameras))
        raise UserError(f'--viz_camera {camera}: {subject} has the cameras {known}.')
    return cameras[camera]


def dataset_clip(dataset: MocapDataset, keypoints: str, data_dir: str, model: nn.Module, sequence: tuple[str, str, int],
                 cut: Cut, batch_size: int | None = None) -> Clip:
    """Lift a sequence of a dataset, and put prediction and ground truth side by side.

    Args:
        keypoints, data_dir: as the flags of these names.
        model: on its device.
        sequence: subject, action and index of the camera.
    Raises:
        UserError: there is no such sequence, it has no 2D, or the cut leaves nothing of it.
    """
    subject, action, index = sequence
    camera = find(dataset, subject, action, index)
    world = dataset.positions[subject][action]
    one = dataclasses.replace(dataset, positions={subject: {action: world}})  # nothing else has to be projected
    views = load_keypoints(one, keypoints, data_dir).get(subject, {}).get(action)
    if views is None:
        raise UserError(f'{dataset.name} has no {keypoints} keypoints of {subject} {action}.')
    view = views[index]
    if len(view) != len(world):
        warn(f'{subject} {action} camera {index} has {len(view)} 2D and {len(world)} 3D frames and is cut to the '
             f'shorter.')
    frames = min(len(view), len(world))
    kept = list(cut.of(frames))
    if not kept:
        raise UserError(f'--viz_skip {cut.skip} leaves nothing of the {frames} frames of {subject} {action}.')

    inputs = torch.from_numpy(view[kept])
    predicted = predict(model, inputs.to(next(model.parameters()).device), batch_size).cpu()
    in_camera = world_to_camera(world[kept], camera)
    truth = torch.from_numpy(in_camera - in_camera[:, :1])
    errors = pose_errors(predicted, truth, mpjpe).numpy()

    def upright(positions):
        return stand(quaternion.rotate(camera.orientation, positions.numpy()))[None]

    return Clip(image_coordinates(view[kept], camera.width, camera.height)[None], (camera.width, camera.height),
                [View('Prediction', upright(predicted), errors), View('Ground truth', upright(truth))],
                dataset.skeleton, dataset.fps / cut.downsample, cut.skip / dataset.fps, camera.azimuth,
                f'{subject} {action}, camera {index}')
