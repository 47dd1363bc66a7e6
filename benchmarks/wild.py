"""Errors of networks for the wild on actors kept out of training: by kind of motion and layout, and with hidden joints.

    python -m benchmarks.wild --data_dir data --checkpoint KEPT_OUT.pth.tar --linear LINEAR.pth.tar \\
        --published checkpoint/pretrained/ckpt_semgcn.pth.tar

The data is data_3d_free.npz of data/prepare_data_free.py. Virtual cameras with detector noise see its test subjects,
the same for all networks. Networks for the wild lift as in predict.py: the mean of the predictions for a pose and for
its mirror image; `one pass` is without the mirror image. The published network gets each pose in the middle of the
training images and as large as a standing person, which uses more knowledge than `predict.py --center_crop` has. Flat
2D is the keypoints without depth.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from common.argument_types import comma_separated, positive_int
from common.checkpoint import load_checkpoint, restore_model
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.datasets.virtual.detector_noise import SIMULATED_LAYOUTS
from common.datasets.virtual.samples import VirtualCameras, VirtualSamples
from common.errors import run_script
from common.evaluation.metrics import align
from common.geometry.mirror import Mirror
from common.geometry.person import person_input
from common.inference import Predictor, for_inference
from common.lifting.tracks.framing import DEFAULT_RANGE
from common.training.recipe import RECIPES

Network = Callable[[Tensor], Tensor]
HIDDEN = (0, 1, 2, 4)
WILD = RECIPES['wild']['gcn']
CHANGES: dict[str, dict[str, Any]] = {
    'as above': {}, 'without noise': {'detector_noise': 0.0}, 'twice the noise': {'detector_noise': 0.06},
    'other bones': {'bones': WILD['bones']}, 'turned in any direction': {'turn': 1.0},
    'with hidden joints': {'hide': 1.0}}


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.wild', description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--checkpoint', required=True, metavar='FILE', help='SemGCN, trained without the test subjects')
    parser.add_argument('--linear', metavar='FILE', help='the linear model, trained alike')
    parser.add_argument('--published', metavar='FILE', help='the published SemGCN')
    parser.add_argument('--data_dir', default='data', metavar='DIR', help='folder of data_3d_free.npz (default: data)')
    parser.add_argument('--test_subjects', type=comma_separated, default=(), metavar='S,S',
                        help="subjects to test on (default: the data set's)")
    parser.add_argument('--step', type=positive_int, default=5, metavar='N', help='use every Nth pose (default: 5)')
    return parser


def load(path: str, data: Data) -> tuple[nn.Module, int]:
    """A network and its window."""
    checkpoint = load_checkpoint(path)
    return for_inference(restore_model(checkpoint, path, data.skeleton)), checkpoint.config.window


def with_mirror(network: nn.Module, data: Data) -> Network:
    """The mean of the predictions for a pose and for its mirror image."""
    cpu = torch.device('cpu')
    return Predictor(network, cpu, mirror=Mirror(data.skeleton, cpu))


def reframed(keypoints: Tensor, distance: Tensor, stature: float) -> Tensor:
    """(N, J, 2) keypoints of focal length 1, placed and scaled as in the published network's training images."""
    middle = torch.tensor([DEFAULT_RANGE['hip_x'][1], DEFAULT_RANGE['hip_y'][1]])
    scale = DEFAULT_RANGE['height'][1] * distance / stature
    return (keypoints - keypoints[:, :1]) * scale.view(-1, 1, 1) + middle


def joint_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """(N, J) distances after similarity alignment, mm."""
    return (align(predicted, target) - target).norm(dim=2) * 1000


@torch.inference_mode()
def print_kinds(args: argparse.Namespace, data: Data) -> None:
    """P-MPJPE by kind of motion and layout."""
    network, window = load(args.checkpoint, data)
    mean = with_mirror(network, data)
    linear = with_mirror(load(args.linear, data)[0], data) if args.linear else None
    published = load(args.published, data)[0] if args.published else None
    poses = data.test()
    chosen = torch.arange(0, len(poses), args.step)
    print(f'P-MPJPE in mm of {len(chosen):,} poses\n')
    print('| kind | layout | SemGCN, wild | one pass | linear, wild | published | flat 2D |\n' + '|---' * 7 + '|')
    kinds = poses.kinds[chosen].unique().tolist()
    sums = []
    for index in range(len(SIMULATED_LAYOUTS)):
        samples = VirtualSamples(poses, data.skeleton, window, data.fps, unchanged(layout=index))
        torch.manual_seed(index)
        keypoints, visible, target, distance = samples.draw(chosen)
        person, middle = person_input(keypoints, visible), keypoints[:, window // 2]
        stature = float(samples.lengths @ samples.bones.stature)
        lifted = [mean(person), network(person), linear and linear(person),
                  published and published(reframed(middle, distance, stature)),
                  torch.cat([middle, torch.zeros_like(middle[..., :1])], 2)]
        errors = torch.stack([torch.full((len(target),), torch.nan) if answer is None
                              else joint_errors(answer, target).mean(1) for answer in lifted])
        sums.append(torch.stack([errors[:, poses.kinds[chosen] == kind].mean(1) for kind in kinds]))
    for row, kind in enumerate(kinds):
        for index, layout in enumerate(SIMULATED_LAYOUTS):
            print_row(poses.kind_names[kind], layout, *sums[index][row])
        print_row(f'**{poses.kind_names[kind]}**', 'all', *torch.stack(sums)[:, row].mean(0))
    print_row('**mean**', 'all', *torch.stack(sums).mean((0, 1)))


def print_row(*cells: str | Tensor) -> None:
    texts = [cell if isinstance(cell, str) else '' if cell.isnan() else f'{cell:.1f}' for cell in cells]
    print('| ' + ' | '.join(texts) + ' |')


@torch.inference_mode()
def print_hidden(args: argparse.Namespace, data: Data) -> None:
    """Errors of the visible and of the hidden joints, and of the same joints with all visible."""
    network, window = load(args.checkpoint, data)
    lift, poses = with_mirror(network, data), data.test()
    chosen = torch.arange(0, len(poses), args.step)
    torch.manual_seed(0)
    keypoints, visible, target, _ = VirtualSamples(poses, data.skeleton, window, data.fps, unchanged()).draw(chosen)
    whole = lift(person_input(keypoints, visible))
    order = torch.rand(len(target), target.shape[1] - 1).argsort(1) + 1              # any joint but the hip
    print(f'\nP-MPJPE in mm of {len(chosen):,} poses with hidden joints, and of the same joints where all is seen. The '
          f'others are aligned by themselves, the guessed with the whole pose.\n\n| hidden | the others | where all is '
          f'seen | the guessed | where all is seen |\n|---|---|---|---|---|')
    for count in HIDDEN:
        hidden = torch.zeros(target.shape[:2], dtype=torch.bool).scatter_(1, order[:, :count], True)
        guessed = lift(person_input(keypoints, visible & ~hidden.unsqueeze(1)))
        others = [joint_errors(*(joints[~hidden].view(len(target), -1, 3) for joints in (answer, target))).mean()
                  for answer in (guessed, whole)]
        these = [joint_errors(answer, target)[hidden].mean() for answer in (guessed, whole)]
        print_row(str(count), *others, *these)


@torch.inference_mode()
def print_ways(args: argparse.Namespace, data: Data) -> None:
    """P-MPJPE of the same weights with windows, with one frame repeated, and averaged with the mirrored pose."""
    network, window = load(args.checkpoint, data)
    poses = data.test()
    chosen = torch.arange(0, len(poses), args.step)
    torch.manual_seed(0)
    keypoints, visible, target, _ = VirtualSamples(poses, data.skeleton, window, data.fps, unchanged()).draw(chosen)
    person, middle = person_input(keypoints, visible), slice(window // 2, window // 2 + 1)
    single = person_input(keypoints[:, middle].expand_as(keypoints), visible[:, middle].expand_as(visible))
    kinds = poses.kinds[chosen].unique().tolist()
    print(f'\nP-MPJPE in mm of {len(chosen):,} poses, all layouts\n')
    print_row('input', *(poses.kind_names[kind] for kind in kinds))
    print('|---' * (len(kinds) + 1) + '|')
    for name, answer in ((f'window of {window}', network(person)), ('one frame, repeated', network(single)),
                         (f'window of {window}, mean with the mirrored', with_mirror(network, data)(person))):
        errors = joint_errors(answer, target).mean(1)
        print_row(name, *(errors[poses.kinds[chosen] == kind].mean() for kind in kinds))


@torch.inference_mode()
def print_changes(args: argparse.Namespace, data: Data) -> None:
    """P-MPJPE on changed bodies, with other noise, and with hidden joints."""
    network, window = load(args.checkpoint, data)
    lift, poses = with_mirror(network, data), data.test()
    chosen = torch.arange(0, len(poses), args.step)
    print('\n| bodies and detectors | P-MPJPE |\n|---|---|')
    for name, change in CHANGES.items():
        samples = VirtualSamples(poses, data.skeleton, window, data.fps, replace(unchanged(), **change))
        torch.manual_seed(0)
        person, target = samples(chosen)
        print_row(name, joint_errors(lift(person), target).mean())


def unchanged(layout: int | None = None) -> VirtualCameras:
    """Unchanged bodies without hidden joints, with the cameras and the noise of the recipe."""
    return VirtualCameras(pitch=WILD['pitch'], detector_noise=WILD['detector_noise'], layout=layout)


def main() -> None:
    args = get_args_parser().parse_args()
    data = Data(DataOptions(dataset='free', data_dir=args.data_dir, test_subjects=args.test_subjects))
    print_kinds(args, data)
    print_hidden(args, data)
    print_ways(args, data)
    print_changes(args, data)


if __name__ == '__main__':
    run_script(main)
