"""Write a checkpoint's network as ONNX or as a PyTorch program, and compare the file with PyTorch.

    python export.py --checkpoint checkpoint/pretrained/ckpt_semgcn.pth.tar --output model.onnx
    python export.py --checkpoint CKPT --output model.pt2 --format pt2

The file maps normalised keypoints, (batch, 16, 2) or of a window of W frames (batch, 16, 2 W), to positions
(batch, 16, 3) in metres from the hip. Its metadata describes both and names the joints. TorchScript is not offered,
because PyTorch has deprecated it.
"""

import os

import numpy as np
import torch

from common.datasets import h36m
from common.errors import UserError, printable, run_script
from common.flags import Parser
from common.geometry.camera import project, world_to_camera
from common.geometry.detector_layouts import TRAINED_ON
from common.geometry.person import person_input
from common.lifting.export_graph import OPSET, TOLERANCE, check, load_onnx, load_pt2, write_onnx, write_pt2
from common.lifting.lifter import Lifter

WRITERS = {'onnx': (write_onnx, load_onnx, 'onnxruntime'), 'pt2': (write_pt2, load_pt2, 'torch.export')}


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument('--checkpoint', required=True, metavar='FILE', help='the model')
    parser.add_argument('--output', required=True, metavar='FILE.onnx', help='the file to write')
    parser.add_argument('--format', choices=list(WRITERS), default='onnx', help='what to write (default: %(default)s)')
    parser.add_argument('--trained_on', choices=TRAINED_ON, help='as for predict.py; recorded in the metadata')
    return parser


def lifelike_poses() -> np.ndarray:
    """(N, 16, 2) normalised: the demo dataset's S9, projected by all of its cameras."""
    from data.prepare_data_demo import make_demo
    takes = [take[:, h36m.KEPT_JOINTS] for take in make_demo()['S9'].values()]
    return np.concatenate([project(world_to_camera(take, camera), camera)
                           for take in takes for camera in h36m.cameras()['S9']]).astype(np.float32)


def main() -> None:
    args = get_args_parser().parse_args()
    if not args.output.lower().endswith(f'.{args.format}'):
        raise UserError(f'--output {args.output}: the name must end in .{args.format}, or choose another --format.')
    write, load, runtime = WRITERS[args.format]
    lifter = Lifter(args.checkpoint, 'cpu', args.trained_on)
    write(args.output, lifter)
    poses, source = lifelike_poses(), 'poses of the demo subject S9'
    if poses.shape[1] != len(lifter.skeleton):
        poses = np.random.default_rng(1).uniform(-0.4, 0.4, (512, len(lifter.skeleton), 2)).astype(np.float32)
        source = 'uniform random poses'
    if lifter.normalization == 'person':  # each frame becomes a window
        poses = person_input(torch.from_numpy(poses)[:, None].expand(-1, lifter.window, -1, -1)).numpy()
    difference = check(load(args.output), lifter, poses)
    kind = f'ONNX opset {OPSET}' if args.format == 'onnx' else 'PyTorch program'
    print(f'{printable(args.output)}: {lifter.description}, {kind}, any batch size, '
          f'{os.path.getsize(args.output) / 1e6:.1f} MB')
    print(f'largest difference from PyTorch: {difference:.1e} m, over {len(poses):,} {source} and 512 normal random '
          f'ones')
    if not difference <= TOLERANCE:
        raise UserError(f'{args.output} differs from the network by {difference:.1e} m, more than '
                        f'{TOLERANCE:g}: do not use it; please report this with the version of {runtime}.')


if __name__ == '__main__':
    run_script(main)
