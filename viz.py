"""Draw a clip of a dataset: 2D input, prediction and ground truth, side by side.

    python viz.py --evaluate checkpoint/pretrained/ckpt_semgcn.pth.tar --viz_subject S11 --viz_action Walking \\
        --viz_camera 0 --viz_output walking.gif --viz_size 3 --viz_downsample 2 --viz_limit 60
    python viz.py --evaluate ckpt_best.pth.tar --viz_subject S9 --viz_action Greeting --viz_output greeting.html
    python viz.py --evaluate ckpt_best.pth.tar --viz_subject S9 --viz_action Greeting --viz_output greeting.mp4 \\
        --viz_video 'Greeting.54138969.mp4'
"""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common import argument_types, arguments, checkpoint
from common.datasets.loading import DataOptions, load_dataset, load_keypoints
from common.datasets.mocap import MocapDataset
from common.datasets.poses import Poses, pair
from common.errors import UserError, listing, run_script
from common.evaluation.evaluate import in_mm
from common.evaluation.metrics import mpjpe
from common.files.atomic import check_suffix
from common.files.npz import read_npz
from common.flags import Parser, filled, flag
from common.geometry.camera import Camera, image_coordinates
from common.inference import predict
from common.rendering.animation import SUFFIXES, render
from common.rendering.clip import Clip, View, stand
from common.rendering.video import VideoFrames
from data.prepare_data_demo import make_if_missing
from models.config import network_flags


@dataclass(frozen=True)
class Drawing:
    """What to draw, named as the flags. First frames are left out, then every Nth is kept, then the first of these."""

    evaluate: Sequence[str] = flag((), 'checkpoint to predict with; several, or files of --predictions, are drawn side '
                                       'by side', nargs='+', metavar='FILE')
    viz_subject: str = flag('', 'subject to draw, like S9', metavar='NAME')
    viz_action: str = flag('', 'action to draw, like "Walking 1"', metavar='NAME')
    viz_camera: int = flag(0, 'camera to look through', metavar='N')
    viz_output: str | None = flag(None, 'file to make: .gif, .mp4, .html or .png (a contact sheet)', metavar='FILE')
    viz_skip: int = flag(0, 'leave out the first N poses, and the same time of the video',
                         type=argument_types.non_negative_int, metavar='N')
    viz_downsample: int = flag(1, 'draw every Nth of the remaining frames; the speed stays',
                               type=argument_types.positive_int, metavar='N')
    viz_limit: int = flag(-1, 'draw at most N of these frames; -1 draws all', metavar='N')
    viz_video: str | None = flag(None, 'video to draw under the 2D input; its first frame belongs to the first pose of '
                                       'the action', metavar='FILE')
    viz_size: float = flag(5.0, 'side of a panel, in units of 100 pixels', type=argument_types.positive_float,
                           metavar='N')
    viz_bitrate: int = flag(3000, 'kbit/s of an .mp4', type=argument_types.positive_int, metavar='N', more=True)
    viz_fps: float | None = flag(None, 'poses drawn a second (default: the rate of the dataset)',
                                 type=argument_types.frame_rate, metavar='N', more=True)
    batch_size: int = flag(64, 'poses to predict at a time', short='-b', type=argument_types.positive_int, metavar='N',
                           more=True)


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_flags('data', DataOptions, only=('dataset', 'keypoints', 'data_dir'))
    parser.add_flags('drawing', Drawing)
    arguments.add_run_flags(parser)
    # Accepted because the published script has them; the checkpoint describes its network.
    hidden = partial(parser.add_argument, help=argparse.SUPPRESS)
    hidden('-a', '--architecture')
    hidden('-l', '--num_layers', type=int)
    hidden('-z', '--hid_dim', type=int)
    hidden('--non_local', action='store_true')
    hidden('--dropout', type=float)
    return parser


def find_camera(dataset: MocapDataset, subject: str, action: str, camera: int) -> Camera:
    """The camera of the sequence that the flags name.

    Raises:
        UserError: the dataset has no such subject, action or camera; the sentence lists the known ones.
    """
    if subject not in dataset.subjects:
        what = f'{dataset.name} has no subject {subject}' if subject else 'which subject is to be drawn'
        raise UserError(f'--viz_subject: {what}; there are {listing(dataset.subjects)}.')
    if action not in dataset.positions[subject]:
        what = f'{dataset.name} has no {action} of {subject}' if action else 'which action is to be drawn'
        raise UserError(f'--viz_action: {what}; there are {listing(dataset.positions[subject], 60)}.')
    cameras = dataset.cameras[subject]
    if not 0 <= camera < len(cameras):
        known = listing(f'{index} ({known.name})' for index, known in enumerate(cameras))
        raise UserError(f'--viz_camera {camera}: {subject} has the cameras {known}.')
    return cameras[camera]


def read_poses(dataset: MocapDataset, data: DataOptions, drawing: Drawing) -> tuple[Poses, list[int]]:
    """The poses of the sequence in the chosen camera, and the frames that are drawn.

    Raises:
        UserError: the sequence has no 2D keypoints, or the flags select no frame.
    """
    subject, action = drawing.viz_subject, drawing.viz_action
    one = dataclasses.replace(dataset, positions={subject: {action: dataset.positions[subject][action]}})
    keypoints = load_keypoints(one, data.keypoints, data.data_dir)  # no other sequence is projected
    if action not in keypoints.get(subject, {}):
        raise UserError(f'{dataset.name} has no {data.keypoints} keypoints of {subject} {action}.')
    poses = pair(one, keypoints, [subject], one.kinds)
    poses = poses.select(poses.views == drawing.viz_camera)
    frames = range(drawing.viz_skip, len(poses), drawing.viz_downsample)
    kept = list(frames[:drawing.viz_limit] if drawing.viz_limit > 0 else frames)
    if not kept:
        raise UserError(f'--viz_skip {drawing.viz_skip} leaves nothing of the {len(poses)} frames of {subject} '
                        f'{action}.')
    return poses, kept


def lift(path: str, poses: Poses, dataset: MocapDataset, flags: dict[str, Any], device: torch.device) -> Tensor:
    """Lift poses with a checkpoint: (N, J, 3) metres from the hip, camera axes; NaN where too many joints are missing.

    Raises:
        UserError: the checkpoint cannot be used, or typed network flags contradict it.
    """
    file = checkpoint.load_checkpoint(path)
    checkpoint.check_flags(file, path, network_flags(flags))
    model = checkpoint.restore_model(file, path, dataset.skeleton).to(device)
    usable = poses.visible(file.fewest_visible)
    seen = poses.select(usable)
    if file.normalization == 'person':
        seen = seen.as_person(file.config.window, dataset.fps, file.fewest_visible)
    seen = seen.to(device)
    positions = torch.full_like(poses.positions, torch.nan)
    positions[usable] = predict(model, seen.keypoints, flags.get('batch_size'), rays=seen.rays).cpu()
    return positions


def read_predictions(path: str, poses: Poses, dataset: MocapDataset) -> Tensor:
    """The predictions of a file of `--predictions` for poses, as of `lift`; NaN for frames that it lacks.

    Raises:
        UserError: the file is damaged, or has no pose of this sequence.
    """
    names = ('subject', 'action', 'camera', 'frame', 'predicted')
    entries = read_npz(path, names, optional=('joints', 'true'))
    sequence, predicted = poses.sequences[int(poses.sequence_of()[0])], np.asarray(entries['predicted'])
    if predicted.shape[1:] != (len(dataset.skeleton), 3) or predicted.dtype.kind != 'f' or any(
            np.shape(entries[name]) != predicted.shape[:1] for name in names[:4]):
        raise UserError(f'{path}: predicted must be (N, {len(dataset.skeleton)}, 3) numbers, and '
                        f'{", ".join(names[:4])} (N,), as main_gcn.py --predictions writes them.')
    of_sequence = np.all([entries[name].astype(str) == getattr(sequence, name) for name in names[:3]], axis=0)
    frames = dict(zip(entries['frame'][of_sequence].tolist(), predicted[of_sequence], strict=True))
    if not frames:
        raise UserError(f'{path} has no prediction of {sequence.subject} {sequence.action} in camera '
                        f'{sequence.camera}.')
    missing = np.full(predicted.shape[1:], np.nan, np.float32)
    found = [frames.get(number, missing) for number in poses.video_frames().tolist()]
    return torch.from_numpy(np.stack(found).astype(np.float32))


def make_clip(drawing: Drawing, data: DataOptions, dataset: MocapDataset, flags: dict[str, Any],
              device: torch.device) -> Clip:
    """Lift the sequence that the flags name. Returns a clip of the predictions and the ground truth, side by side."""
    subject, action = drawing.viz_subject, drawing.viz_action
    camera = find_camera(dataset, subject, action, drawing.viz_camera)
    every, kept = read_poses(dataset, data, drawing)
    chosen = torch.zeros(len(every), dtype=torch.bool)
    chosen[kept] = True
    poses = every.select(chosen)

    def upright(positions: Tensor) -> np.ndarray:
        return stand(positions.numpy() @ camera.rotation.T.astype(np.float32))[None]

    views = []
    for path in drawing.evaluate:
        predicted = (read_predictions(path, poses, dataset) if path.lower().endswith('.npz') else
                     lift(path, poses, dataset, flags, device))
        errors = mpjpe(in_mm(predicted), in_mm(poses.positions)).numpy()
        title = 'Prediction' if len(drawing.evaluate) == 1 else os.path.basename(path).removesuffix('.pth.tar')
        views.append(View(title, upright(predicted), errors))
    keypoints = image_coordinates(poses.keypoints.numpy(), camera.width, camera.height)[None]
    return Clip(keypoints, (camera.width, camera.height), [*views, View('Ground truth', upright(poses.positions))],
                dataset.skeleton, (drawing.viz_fps or dataset.fps) / drawing.viz_downsample,
                drawing.viz_skip / (drawing.viz_fps or dataset.fps), camera.azimuth,
                f'{subject} {action}, camera {drawing.viz_camera}')


def main() -> None:
    parser = get_args_parser()
    flags = vars(parser.parse_args())
    drawing, data = filled(Drawing, flags), filled(DataOptions, flags)
    if not drawing.evaluate:
        raise UserError('--evaluate is missing: it names a checkpoint.')
    if drawing.viz_output is None:
        raise UserError('--viz_output is missing: it names a file to make, ending in .gif, .mp4, .html or .png.')
    check_suffix(drawing.viz_output, SUFFIXES, '--viz_output')
    device = arguments.resolve_device(flags['device'])
    make_if_missing(data.dataset, data.data_dir)
    dataset = load_dataset(data.dataset, data.data_dir)
    find_camera(dataset, drawing.viz_subject, drawing.viz_action, drawing.viz_camera)
    video = None
    if drawing.viz_video:
        video = VideoFrames(drawing.viz_video, drawing.viz_fps or dataset.fps, drawing.viz_skip, drawing.viz_downsample)
    clip = make_clip(drawing, data, dataset, parser.typed(), device)
    clip = render(clip, drawing.viz_output, drawing.viz_size, drawing.viz_bitrate, video)
    shown = [f'MPJPE {np.nanmean(view.errors):.1f} mm' + (f' ({view.title})' if len(drawing.evaluate) > 1 else '')
             for view in clip.views if view.errors is not None and np.isfinite(view.errors).any()]
    print(f'{drawing.viz_output}: {len(clip)} frames of {clip.caption}, {len(clip) / clip.fps:.2f} s, '
          f'{os.path.getsize(drawing.viz_output) / 1e6:.2f} MB, {", ".join(shown) or "no pose is lifted"}')


if __name__ == '__main__':
    run_script(main)
