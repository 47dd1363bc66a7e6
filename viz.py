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
from common.flags import Parser
from common.geometry.camera import Camera, image_coordinates, world_to_camera
from common.geometry.person import person_windows
from common.inference import predict
from common.rendering.animation import SUFFIXES, render
from common.rendering.clip import Clip, View, stand
from common.rendering.video import VideoFrames
from data.prepare_data_demo import make_if_missing
from models.config import DEFAULTS_BY_ARCHITECTURE, ModelConfig, network_flags


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_flags('data', DataOptions, only=('dataset', 'keypoints', 'data_dir'))
    group = parser.add_argument_group('network')
    # the checkpoint describes its network; accepted because the published script has them
    for name in ('num_layers', 'hid_dim', 'non_local', 'conv', 'dropout'):
        parser.add_flags('network', ModelConfig, only=(name,))
    group.add_argument('--evaluate', metavar='FILE', help='checkpoint to predict with')
    group.add_argument('-a', '--architecture', choices=list(DEFAULTS_BY_ARCHITECTURE), help='kind of network')
    group = parser.add_argument_group(
        'drawing', '--viz_skip leaves out the first frames, then --viz_downsample keeps every Nth of the rest, then '
        '--viz_limit keeps the first of these.')
    group.add_argument('--viz_subject', metavar='NAME', help='subject to draw, like S9')
    group.add_argument('--viz_action', metavar='NAME', help='action to draw, like "Walking 1"')
    group.add_argument('--viz_camera', type=int, default=0, metavar='N', help='camera to look through (default: 0)')
    group.add_argument('--viz_video', metavar='FILE',
                       help='video to draw under the 2D input; its first frame belongs to the first pose of the action')
    group.add_argument('--viz_skip', type=argument_types.non_negative_int, default=0, metavar='N',
                       help='leave out the first N poses, and the same time of the video (default: 0)')
    group.add_argument('--viz_output', metavar='FILE', help='file to make: .gif, .mp4, .html or .png (a contact sheet)')
    group.add_argument('--viz_bitrate', type=argument_types.positive_int, default=3000, metavar='N',
                       help='kbit/s of an .mp4 (default: 3000)')
    group.add_argument('--viz_limit', type=int, default=-1, metavar='N',
                       help='draw at most N frames (default: -1, all)')
    group.add_argument('--viz_downsample', type=argument_types.positive_int, default=1, metavar='N',
                       help='draw every Nth frame; the speed stays (default: 1)')
    group.add_argument('--viz_size', type=argument_types.positive_float, default=5, metavar='N',
                       help='side of a panel, in units of 100 pixels (default: 5)')
    group.add_argument('--viz_fps', type=argument_types.frame_rate, metavar='N',
                       help='poses a second of the dataset (default: its own rate, or 50)')
    arguments.add_run_flags(parser)
    group.add_argument('-b', '--batch_size', type=argument_types.positive_int, default=64, metavar='N',
                       help='poses to predict at a time (default: 64)')
    return parser


def find_camera(dataset: MocapDataset, subject: str | None, action: str | None, camera: int) -> Camera:
    """The camera of the sequence that the flags name.

    Raises:
        UserError: the dataset has no such subject, action or camera; the sentence lists the known ones.
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


def make_clip(args: argparse.Namespace, dataset: MocapDataset, camera: Camera, model: nn.Module,
              file: checkpoint.Checkpoint) -> Clip:
    """Lift the sequence that the flags name. Returns a clip of the prediction and the ground truth side by side.

    Raises:
        UserError: the sequence has no 2D keypoints, or the flags select no frame.
    """
    subject, action = args.viz_subject, args.viz_action
    world = dataset.positions[subject][action]
    one = dataclasses.replace(dataset, positions={subject: {action: world}})  # no other sequence is projected
    views = load_keypoints(one, args.keypoints, args.data_dir).get(subject, {}).get(action)
    if views is None:
        raise UserError(f'{dataset.name} has no {args.keypoints} keypoints of {subject} {action}.')
    keypoints = views[args.viz_camera]
    if len(keypoints) != len(world):
        warn(f'{subject} {action} camera {args.viz_camera} has {len(keypoints)} 2D and {len(world)} 3D frames and is '
             f'cut to the shorter.')
    frames = range(args.viz_skip, min(len(keypoints), len(world)), args.viz_downsample)
    kept = list(frames[:args.viz_limit] if args.viz_limit > 0 else frames)
    if not kept:
        raise UserError(f'--viz_skip {args.viz_skip} leaves nothing of the {len(world)} frames of {subject} {action}.')

    inputs = torch.from_numpy(keypoints[kept])
    if file.normalization == 'person':
        inputs = person_windows(torch.from_numpy(keypoints), torch.tensor(kept), 0, len(keypoints) - 1,
                                file.config.window, dataset.fps)
    predicted = predict(model, inputs.to(next(model.parameters()).device), args.batch_size).cpu().numpy()
    truth = world_to_camera(world[kept], camera)
    truth -= truth[:, :1]
    errors = mpjpe(in_mm(torch.from_numpy(predicted)), in_mm(torch.from_numpy(truth))).numpy()

    def upright(positions: np.ndarray) -> np.ndarray:
        return stand(positions @ camera.rotation.T.astype(positions.dtype))[None]

    return Clip(image_coordinates(keypoints[kept], camera.width, camera.height)[None], (camera.width, camera.height),
                [View('Prediction', upright(predicted), errors), View('Ground truth', upright(truth))],
                dataset.skeleton, dataset.fps / args.viz_downsample, args.viz_skip / dataset.fps, camera.azimuth,
                f'{subject} {action}, camera {args.viz_camera}')


def main() -> None:
    parser = get_args_parser()
    args = parser.parse_args()
    missing = [flag for flag in ('evaluate', 'viz_output') if getattr(args, flag) is None]
    if missing:
        wanted = {'evaluate': 'a checkpoint', 'viz_output': 'a file to make, ending in .gif, .mp4, .html or .png'}
        raise UserError(f'--{missing[0]} is missing: it names {wanted[missing[0]]}.')
    check_suffix(args.viz_output, SUFFIXES, '--viz_output')
    device = arguments.resolve_device(args.device)

    file = checkpoint.load_checkpoint(args.evaluate)
    checkpoint.check_flags(file, args.evaluate, network_flags(parser.typed()))
    make_if_missing(args.dataset, args.data_dir)
    dataset = load_dataset(args.dataset, args.data_dir)
    if args.viz_fps:
        dataset = dataclasses.replace(dataset, fps=args.viz_fps)
    camera = find_camera(dataset, args.viz_subject, args.viz_action, args.viz_camera)
    video = None
    if args.viz_video:
        video = VideoFrames(args.viz_video, dataset.fps, args.viz_skip, args.viz_downsample)

    model = checkpoint.restore_model(file, args.evaluate, dataset.skeleton).to(device)
    clip = make_clip(args, dataset, camera, model, file)
    drawn = render(clip, args.viz_output, args.viz_size, args.viz_bitrate, video)
    errors = drawn.views[0].errors
    assert errors is not None  # `make_clip` compares the prediction with the true positions
    print(f'{args.viz_output}: {len(drawn)} frames of {drawn.caption}, {len(drawn) / drawn.fps:.2f} s, '
          f'{os.path.getsize(args.viz_output) / 1e6:.2f} MB, MPJPE {errors.mean():.1f} mm')


if __name__ == '__main__':
    run_script(main)
