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
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from common import argument_types, arguments, checkpoint
from common.datasets.loading import DataOptions, load_dataset, load_keypoints
from common.datasets.mocap import MocapDataset
from common.errors import UserError, listing, run_script, warn
from common.evaluation.evaluate import in_mm
from common.evaluation.metrics import mpjpe
from common.files.atomic import check_suffix
from common.flags import Parser, filled, flag
from common.geometry.camera import Camera, image_coordinates, world_to_camera
from common.geometry.person import person_windows
from common.inference import predict
from common.rendering.animation import SUFFIXES, render
from common.rendering.clip import Clip, View, stand
from common.rendering.video import VideoFrames
from data.prepare_data_demo import make_if_missing
from models.config import network_flags


@dataclass(frozen=True)
class Drawing:
    """What to draw, named as the flags. First frames are left out, then every Nth is kept, then the first of these."""

    evaluate: str | None = flag(None, 'checkpoint to predict with', metavar='FILE')
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
    viz_fps: float | None = flag(None, 'poses a second of the dataset (default: its own rate, or 50)',
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


def find_keypoints(dataset: MocapDataset, data: DataOptions, drawing: Drawing) -> tuple[np.ndarray, list[int]]:
    """The 2D keypoints (T, J, 2) of the sequence in the chosen camera, and the frames that are drawn.

    Raises:
        UserError: the sequence has no 2D keypoints, or the flags select no frame.
    """
    subject, action = drawing.viz_subject, drawing.viz_action
    world = dataset.positions[subject][action]
    one = dataclasses.replace(dataset, positions={subject: {action: world}})  # no other sequence is projected
    views = load_keypoints(one, data.keypoints, data.data_dir).get(subject, {}).get(action)
    if views is None:
        raise UserError(f'{dataset.name} has no {data.keypoints} keypoints of {subject} {action}.')
    keypoints = views[drawing.viz_camera]
    if len(keypoints) != len(world):
        warn(f'{subject} {action} camera {drawing.viz_camera} has {len(keypoints)} 2D and {len(world)} 3D frames and '
             f'is cut to the shorter.')
    frames = range(drawing.viz_skip, min(len(keypoints), len(world)), drawing.viz_downsample)
    kept = list(frames[:drawing.viz_limit] if drawing.viz_limit > 0 else frames)
    if not kept:
        raise UserError(f'--viz_skip {drawing.viz_skip} leaves nothing of the {len(world)} frames of {subject} '
                        f'{action}.')
    return keypoints, kept


def make_clip(drawing: Drawing, data: DataOptions, dataset: MocapDataset, model: nn.Module,
              file: checkpoint.Checkpoint) -> Clip:
    """Lift the sequence that the flags name. Returns a clip of the prediction and the ground truth side by side."""
    subject, action = drawing.viz_subject, drawing.viz_action
    camera = find_camera(dataset, subject, action, drawing.viz_camera)
    keypoints, kept = find_keypoints(dataset, data, drawing)

    inputs = torch.from_numpy(keypoints[kept])
    if file.normalization == 'person':
        inputs = person_windows(torch.from_numpy(keypoints), torch.tensor(kept), 0, len(keypoints) - 1,
                                file.config.window, dataset.fps)
    predicted = predict(model, inputs.to(next(model.parameters()).device), drawing.batch_size).cpu().numpy()
    truth = world_to_camera(dataset.positions[subject][action][kept], camera)
    truth -= truth[:, :1]
    errors = mpjpe(in_mm(torch.from_numpy(predicted)), in_mm(torch.from_numpy(truth))).numpy()

    def upright(positions: np.ndarray) -> np.ndarray:
        return stand(positions @ camera.rotation.T.astype(positions.dtype))[None]

    return Clip(image_coordinates(keypoints[kept], camera.width, camera.height)[None], (camera.width, camera.height),
                [View('Prediction', upright(predicted), errors), View('Ground truth', upright(truth))],
                dataset.skeleton, dataset.fps / drawing.viz_downsample, drawing.viz_skip / dataset.fps, camera.azimuth,
                f'{subject} {action}, camera {drawing.viz_camera}')


def main() -> None:
    parser = get_args_parser()
    flags = vars(parser.parse_args())
    drawing, data = filled(Drawing, flags), filled(DataOptions, flags)
    if drawing.evaluate is None:
        raise UserError('--evaluate is missing: it names a checkpoint.')
    if drawing.viz_output is None:
        raise UserError('--viz_output is missing: it names a file to make, ending in .gif, .mp4, .html or .png.')
    check_suffix(drawing.viz_output, SUFFIXES, '--viz_output')
    device = arguments.resolve_device(flags['device'])

    file = checkpoint.load_checkpoint(drawing.evaluate)
    checkpoint.check_flags(file, drawing.evaluate, network_flags(parser.typed()))
    make_if_missing(data.dataset, data.data_dir)
    dataset = load_dataset(data.dataset, data.data_dir)
    if drawing.viz_fps:
        dataset = dataclasses.replace(dataset, fps=drawing.viz_fps)
    video = None
    if drawing.viz_video:
        video = VideoFrames(drawing.viz_video, dataset.fps, drawing.viz_skip, drawing.viz_downsample)

    model = checkpoint.restore_model(file, drawing.evaluate, dataset.skeleton).to(device)
    clip = render(make_clip(drawing, data, dataset, model, file), drawing.viz_output, drawing.viz_size,
                  drawing.viz_bitrate, video)
    errors = clip.views[0].errors
    assert errors is not None  # `make_clip` compares the prediction with the true positions
    print(f'{drawing.viz_output}: {len(clip)} frames of {clip.caption}, {len(clip) / clip.fps:.2f} s, '
          f'{os.path.getsize(drawing.viz_output) / 1e6:.2f} MB, MPJPE {errors.mean():.1f} mm')


if __name__ == '__main__':
    run_script(main)
