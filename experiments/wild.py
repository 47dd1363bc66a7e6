"""How large are the errors of networks for the wild on actors kept out of training, and what changes them?

    python -m experiments.wild --data_dir data --checkpoint KEPT_OUT.pth.tar --linear LINEAR.pth.tar \\
        --published checkpoint/pretrained/ckpt_semgcn.pth.tar

The data is data_3d_free.npz of data/prepare_data_free.py. Virtual cameras with detector noise see its test subjects,
the same for all networks. Networks for the wild give the mean of the predictions for a pose and for its mirror image,
as in predict.py; `one pass` is without it. The published network gets each pose in the middle of the training images
and as large as a standing person, which uses more knowledge than `predict.py --center_crop` has. Flat 2D is the
keypoints without depth. Conclusions: docs/measurements/wild.md.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.argument_types import comma_separated, positive_int
from common.checkpoint import load_checkpoint, restore_model
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.datasets.virtual.cameras import draw_cameras
from common.datasets.virtual.detector_noise import (
    SIMULATED_LAYOUTS,
    as_detectors_mean,
    detector_joints,
    detector_points,
    noisy,
)
from common.datasets.virtual.samples import VirtualCameras, VirtualSamples
from common.errors import run_script
from common.evaluation.metrics import align
from common.flags import Parser
from common.geometry.mirror import Mirror
from common.geometry.person import person_input
from common.inference import Predictor, for_inference
from common.lifting.options import Options
from common.lifting.prediction import run
from common.lifting.tracks.framing import DEFAULT_RANGE
from common.training.recipe import RECIPES

Network = Callable[[Tensor], Tensor]
HIDDEN = (0, 1, 2, 4)
WILD = RECIPES['wild']['gcn']
CHANGES: dict[str, dict[str, Any]] = {
    'as above': {}, 'without noise': {'detector_noise': 0.0}, 'twice the noise': {'detector_noise': 0.06},
    'other bones': {'bones': 0.12}, 'turned in any direction': {'turn': 1.0}, 'with hidden joints': {'hide': 1.0},
    'gross errors of detectors': {'detector_faults': 1.0}, 'extreme views': {'extreme_views': 1.0},
    'frames at any distance': {'rates': 1.0}}
RATES = (5, 10, 15, 24, 30, 60, 120)
CLIPS, SECONDS = 40, 3  # number and length of the clips that are written at each rate, at most
SIZE, FOCAL = (2400, 2400), 1000.0  # pixels, of their camera


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument('--checkpoint', required=True, metavar='FILE', help='SemGCN, trained without the test subjects')
    parser.add_argument('--linear', metavar='FILE', help='the linear model, trained alike')
    parser.add_argument('--published', metavar='FILE', help='the published SemGCN')
    parser.add_argument('--data_dir', default='data', metavar='DIR', help='folder of data_3d_free.npz (default: data)')
    parser.add_argument('--test_subjects', type=comma_separated, default=(), metavar='S,S',
                        help="subjects to test on (default: the data set's)")
    parser.add_argument('--step', type=positive_int, default=5, metavar='N', help='use every Nth pose (default: 5)')
    return parser


class Experiment:
    """The network for the wild with its mirror image, and the chosen test poses, seen by virtual cameras."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.data = Data(DataOptions(dataset='free', data_dir=args.data_dir, test_subjects=args.test_subjects))
        self.poses = self.data.test()
        self.chosen = torch.arange(0, len(self.poses), args.step)
        self.kinds = self.poses.kinds[self.chosen]
        self.path = args.checkpoint
        self.network, self.window = self.load(args.checkpoint)
        self.lift = self.with_mirror(self.network)
        self.linear = self.with_mirror(self.load(args.linear)[0]) if args.linear else None
        self.published = self.load(args.published)[0] if args.published else None

    def load(self, path: str) -> tuple[nn.Module, int]:
        """A network and its window."""
        checkpoint = load_checkpoint(path)
        return for_inference(restore_model(checkpoint, path, self.data.skeleton)), checkpoint.config.window

    def with_mirror(self, network: nn.Module) -> Network:
        """The mean with the mirror image, as predict.py has it."""
        cpu = torch.device('cpu')
        return Predictor(network, cpu, mirror=Mirror(self.data.skeleton, cpu))

    def samples(self, seed: int = 0, **changes: Any) -> VirtualSamples:
        """Unchanged bodies without hidden joints, with the cameras and the noise of the recipe; `changes` replace."""
        cameras = VirtualCameras(pitch=WILD['pitch'], detector_noise=WILD['detector_noise'])
        torch.manual_seed(seed)
        return VirtualSamples(self.poses, self.data.skeleton, self.window, self.data.fps, replace(cameras, **changes))

    def by_kind(self, errors: Tensor) -> Tensor:
        """Means of the errors (..., N) of each kind of motion, (kinds, ...)."""
        return torch.stack([errors[..., self.kinds == kind].mean(-1) for kind in self.kinds.unique()])

    def kind_names(self) -> list[str]:
        return [self.poses.kind_names[kind] for kind in self.kinds.unique().tolist()]


def reframed(keypoints: Tensor, distance: Tensor, stature: float) -> Tensor:
    """(N, J, 2) keypoints of focal length 1, placed and scaled as in the published network's training images."""
    middle = torch.tensor([DEFAULT_RANGE['hip_x'][1], DEFAULT_RANGE['hip_y'][1]])
    scale = DEFAULT_RANGE['height'][1] * distance / stature
    return (keypoints - keypoints[:, :1]) * scale.view(-1, 1, 1) + middle


def aligned_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """(N, J) distances after similarity alignment, mm."""
    return (align(predicted, target) - target).norm(dim=2) * 1000


def print_row(*cells: str | Tensor) -> None:
    texts = [cell if isinstance(cell, str) else '' if cell.isnan() else f'{cell:.1f}' for cell in cells]
    print('| ' + ' | '.join(texts) + ' |')


def print_kinds(test: Experiment) -> None:
    """P-MPJPE by kind of motion and layout."""
    print(f'P-MPJPE in mm of {len(test.chosen):,} poses\n')
    print('| kind | layout | SemGCN, wild | one pass | linear, wild | published | flat 2D |\n' + '|---' * 7 + '|')
    tables = []
    for index in range(len(SIMULATED_LAYOUTS)):
        samples = test.samples(seed=index, layout=index)
        keypoints, visible, target, distance = samples.draw(test.chosen)
        person, middle = person_input(keypoints, visible), keypoints[:, test.window // 2]
        stature = float(samples.lengths @ samples.bones.stature)
        lifted = [test.lift(person), test.network(person), test.linear and test.linear(person),
                  test.published and test.published(reframed(middle, distance, stature)),
                  torch.cat([middle, torch.zeros_like(middle[..., :1])], 2)]
        missing = torch.full((len(target),), torch.nan)
        tables.append(test.by_kind(torch.stack([missing if positions is None else
                                                aligned_errors(positions, target).mean(1) for positions in lifted])))
    for row, kind in enumerate(test.kind_names()):
        for table, layout in zip(tables, SIMULATED_LAYOUTS):
            print_row(kind, layout, *table[row])
        print_row(f'**{kind}**', 'all', *torch.stack(tables)[:, row].mean(0))
    print_row('**mean**', 'all', *torch.stack(tables).mean((0, 1)))


def print_hidden(test: Experiment) -> None:
    """Errors of visible and of hidden joints, and errors of the same joints when no joint is hidden."""
    keypoints, visible, target, _ = test.samples().draw(test.chosen)
    none_hidden = test.lift(person_input(keypoints, visible))
    order = torch.rand(len(target), target.shape[1] - 1).argsort(1) + 1              # any joint but the hip
    print(f'\nP-MPJPE in mm of {len(test.chosen):,} poses with hidden joints, and of the same joints when no joint is '
          f'hidden. Visible joints are aligned without the hidden ones; hidden joints are aligned with the whole pose.'
          f'\n\n| hidden | visible joints | none hidden | hidden joints | none hidden |\n|---|---|---|---|---|')
    for count in HIDDEN:
        hidden = torch.zeros(target.shape[:2], dtype=torch.bool).scatter_(1, order[:, :count], True)
        lifted = test.lift(person_input(keypoints, visible & ~hidden.unsqueeze(1))), none_hidden
        print_row(str(count), *(aligned_errors(*(joints[~hidden].view(len(target), -1, 3)
                                                 for joints in (positions, target))).mean() for positions in lifted),
                  *(aligned_errors(positions, target)[hidden].mean() for positions in lifted))


def print_inputs(test: Experiment) -> None:
    """P-MPJPE of the same weights with windows, with one frame repeated, and averaged with the mirrored pose."""
    keypoints, visible, target, _ = test.samples().draw(test.chosen)
    person, middle = person_input(keypoints, visible), slice(test.window // 2, test.window // 2 + 1)
    single = person_input(keypoints[:, middle].expand_as(keypoints), visible[:, middle].expand_as(visible))
    print(f'\nP-MPJPE in mm of {len(test.chosen):,} poses, all layouts\n')
    print_row('input', *test.kind_names())
    print('|---' * (len(test.kind_names()) + 1) + '|')
    window = f'window of {test.window}'
    for name, positions in ((window, test.network(person)), ('one frame, repeated', test.network(single)),
                            (f'{window}, mean with the mirrored', test.lift(person))):
        print_row(name, *test.by_kind(aligned_errors(positions, target).mean(1)))


def print_changes(test: Experiment) -> None:
    """P-MPJPE on changed bodies, with other noise, and with hidden joints."""
    print('\n| bodies and detectors | P-MPJPE |\n|---|---|')
    for name, changes in CHANGES.items():
        person, target = test.samples(**changes)(test.chosen)
        print_row(name, aligned_errors(test.lift(person), target).mean())


def print_rates(test: Experiment) -> None:
    """P-MPJPE of the same clips written at several rates, lifted at the right rate and as if they had 30 a second."""
    world, sequences = test.samples().world, test.poses.sequences
    clips = world.split([sequence.frames for sequence in sequences])[::-(-len(sequences) // CLIPS)]
    clips = [clip[:round(SECONDS * test.data.fps)] for clip in clips]
    print(f'\nP-MPJPE in mm of {len(clips)} clips of {SECONDS} s at most, of the files that predict.py writes\n\n'
          f'| frames a second | right | as if 30 |\n|---|---|---|')
    for rate in RATES:
        errors = torch.stack([clip_errors(test, clip, rate, seed) for seed, clip in enumerate(clips)])
        print_row(str(rate), *errors.mean(0))


def clip_errors(test: Experiment, world: Tensor, rate: float, seed: int) -> Tensor:
    """P-MPJPE of a clip written at a rate, lifted by predict.py at this rate and at 30 frames a second, (2,)."""
    frames = max(round(len(world) * rate / test.data.fps), 1)
    curves = (world - world[:1, :1]).flatten(1).T.unsqueeze(0)                         # (1, 48, T)
    world = nn.functional.interpolate(curves, frames, mode='linear', align_corners=True)[0].T.unflatten(1, (-1, 3))
    torch.manual_seed(seed)
    camera = draw_cameras(1, WILD['pitch'], world.device)
    seen = camera.to_person_axes(detector_points(world.unsqueeze(0)).flatten(1, 2))
    image = noisy(camera.projected(seen).view(1, frames, -1, 2), WILD['detector_noise'])
    layout = torch.tensor([seed % len(SIMULATED_LAYOUTS)])
    keypoints = detector_joints(image, torch.zeros(image.shape[:3], dtype=torch.bool), layout)[0][0]
    target = as_detectors_mean(seen.view(frames, -1, 3))
    return torch.stack([aligned_errors(predicted_file(test.path, keypoints, assumed), target).mean()
                        for assumed in (rate, 30)])


def predicted_file(checkpoint: str, keypoints: Tensor, rate: float) -> Tensor:
    """The poses (T, 16, 3) that predict.py writes for a file of keypoints (T, 16, 2) in an image of focal length 1."""
    pixels = keypoints * FOCAL + torch.tensor(SIZE) / 2
    quiet = io.StringIO()
    with (tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(quiet),
          contextlib.redirect_stderr(quiet)):
        source, output = os.path.join(folder, 'keypoints.json'), os.path.join(folder, 'positions.npz')
        with open(source, 'w', encoding='utf-8') as file:
            json.dump(pixels.tolist(), file)
        run(Options(input=source, output=output, checkpoint=checkpoint, size=SIZE, focal=FOCAL,
                    layout='h36m16', fps=rate, device='cpu'))
        with np.load(output) as written:
            return torch.from_numpy(written['positions_3d'])


@torch.inference_mode()
def main() -> None:
    test = Experiment(get_args_parser().parse_args())
    for table in (print_kinds, print_hidden, print_inputs, print_changes, print_rates):
        table(test)


if __name__ == '__main__':
    run_script(main)
