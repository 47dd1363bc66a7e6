"""Flags of the two training scripts, and what they are to the rest of the program."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from common.argument_types import (
    angle,
    comma_separated,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    probability,
    share,
)
from common.arguments import add_data_flags, add_run_flags, network_flags, typed_flags
from common.checkpoint import Checkpoint
from common.datasets.loading import DataOptions
from common.errors import UserError, warn
from common.evaluation.metrics import LOSSES
from common.evaluation.report import BY
from common.training.optimizer import OPTIMIZERS
from common.training.recipe import RECIPES, SCHEDULES, Recipe
from common.training.trainer import Output
from models.config import ModelConfig, default_config

NAME_LISTS = ('actions', 'val_subjects', 'train_subjects', 'test_subjects')  # flags of names separated by commas


def trainer_parser(doc: str | None, epochs: int, snapshot: int) -> argparse.ArgumentParser:
    """A parser of the flags of a training script, without the flags of its network.

    Args:
        doc: the script's docstring.
        epochs, snapshot: published defaults of its network.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    group = add_data_flags(parser)
    group.add_argument('-a', '--actions', default='*', metavar='A,B',
                       help='kinds of action to train and test on, separated by commas (default: *, all)')
    group.add_argument('--downsample', type=positive_int, default=1, metavar='N',
                       help='use every Nth frame (default: 1)')
    group.add_argument('--train_subjects', default='', metavar='S,S',
                       help="subjects to train on (default: the data set's)")
    group.add_argument('--test_subjects', default='', metavar='S,S',
                       help="subjects to test on (default: the data set's)")

    group = parser.add_argument_group('what to do')
    group.add_argument('--evaluate', metavar='FILE', help='evaluate this checkpoint instead of training')
    group.add_argument('-r', '--resume', metavar='FILE',
                       help='continue the run of this checkpoint; flags left out come from the file')
    group.add_argument('--init', metavar='FILE',
                       help='start a new run from the weights of this checkpoint, averaged where it has an average; '
                            'network flags left out come from the file')
    group.add_argument('-c', '--checkpoint', default='checkpoint', metavar='DIR',
                       help='folder in which each run makes its own folder (default: checkpoint)')
    group.add_argument('--snapshot', type=positive_int, default=snapshot, metavar='N',
                       help=f'keep the checkpoint of every Nth epoch (default: {snapshot})')
    group.add_argument('--report', metavar='FILE.json',
                       help='write all metrics of the evaluation, by action, subject, camera and joint, as JSON')
    group.add_argument('--by', nargs='+', choices=BY, default=[], metavar='PART',
                       help=f'with --evaluate: print all metrics by {" or ".join(BY)} too')
    group.add_argument('--predictions', metavar='FILE.npz',
                       help='with --evaluate: write predicted and true poses, with subject, action, camera and frame')
    group.add_argument('--save_minutes', type=positive_float, default=10.0, metavar='F',
                       help='write ckpt_last.pth.tar this often, and after each epoch (default: 10)')
    group.add_argument('--tensorboard', action='store_true', help='write TensorBoard scalars to the run\'s folder')

    group = parser.add_argument_group('training')
    group.add_argument('-e', '--epochs', type=positive_int, default=epochs, metavar='N',
                       help=f'epochs in all (default: {epochs})')
    group.add_argument('-b', '--batch_size', type=positive_int, default=64, metavar='N',
                       help='poses a step (default: 64)')
    group.add_argument('--lr', type=positive_float, default=1e-3, help='learning rate (default: 1e-3)')
    group.add_argument('--lr_decay', type=positive_int, default=100_000, metavar='N',
                       help='steps after which the learning rate changes (default: 100000)')
    group.add_argument('--lr_gamma', type=positive_float, default=0.96, metavar='F',
                       help='the learning rate is lr * F^(step / lr_decay) (default: 0.96)')
    group.add_argument('--no_max', dest='max_norm', action='store_false',
                       help='do not clip the norm of the gradient to 1')
    group.add_argument('--seed', type=int, default=0, metavar='N', help='seed of every random choice (default: 0)')
    add_recipe_flags(parser)
    add_speed_flags(add_run_flags(parser))
    return parser


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('beyond the published recipe')
    group.add_argument('--recipe', choices=list(RECIPES), default='published',
                       help='named defaults of the flags of this group and of --lr, see docs/accuracy.md '
                            '(default: published)')
    group.add_argument('--ema', type=probability, default=0.0, metavar='DECAY',
                       help='evaluate the exponential moving average of the weights, e.g. 0.999 (default: 0, none)')
    group.add_argument('--schedule', choices=list(SCHEDULES), default='published',
                       help='schedule of the learning rate; linear and cosine fall to zero in the last step '
                            '(default: published)')
    group.add_argument('--warmup_steps', type=non_negative_int, default=0, metavar='N',
                       help='steps in which the learning rate rises from zero (default: 0)')
    group.add_argument('--optimizer', choices=list(OPTIMIZERS), default='adam', help='(default: adam)')
    group.add_argument('--weight_decay', type=non_negative_float, default=0.0, metavar='F', help='(default: 0)')
    group.add_argument('--loss', choices=list(LOSSES), default='mse',
                       help='mean squared error, mean distance of joints, mean absolute error, or mean absolute error '
                            'that is squared below 5 cm (default: mse)')
    group.add_argument('--unit', type=positive_float, default=1.0, metavar='METRES',
                       help='length that 1 stands for in the last layer, a property of the network; a small one makes '
                            "Adam's steps smaller there (default: 1)")
    group.add_argument('--bn_momentum', type=share, default=0.1, metavar='F',
                       help='share of a batch in the running statistics of batch norm (default: 0.1)')
    group.add_argument('--flip', action='store_true', help='mirror half of the samples')
    group.add_argument('--rotate', type=angle, default=0.0, metavar='DEG',
                       help='turn each sample by up to this angle about the vertical and re-project it (default: 0)')
    group.add_argument('--scale', type=probability, default=0.0, metavar='F',
                       help='make each body larger or smaller by up to this share and re-project it (default: 0)')
    group.add_argument('--noise', type=non_negative_float, default=0.0, metavar='F',
                       help='standard deviation of noise on the keypoints; the image is 2 wide (default: 0)')
    group.add_argument('--tta', choices=['off', 'flip'], default='off',
                       help='flip: average the predictions for each pose and its mirror image (default: off)')
    group = parser.add_argument_group(
        'virtual cameras', 'A random camera projects each sample to the joints of a random 2D detector. The input is '
        'centred on the person and divided by the spread of the joints. --recipe wild sets all of these flags.')
    group.add_argument('--virtual', action='store_true', help='train, and evaluate, with virtual cameras')
    group.add_argument('--window', type=positive_int, default=1, metavar='N',
                       help='number of frames around the predicted one that the network sees, odd (default: 1)')
    group.add_argument('--pitch', type=angle, default=15.0, metavar='DEG',
                       help='standard deviation of the downward pitch of the cameras, whose mean is 8 degrees '
                            '(default: 15)')
    group.add_argument('--bones', type=probability, default=0.0, metavar='F',
                       help='change bone lengths by symmetric groups, by about this share (default: 0)')
    group.add_argument('--turn', type=probability, default=0.0, metavar='F',
                       help='rotate this share of the bodies at random: on the floor, upside down (default: 0)')
    group.add_argument('--detector_noise', type=non_negative_float, default=0.0, metavar='F',
                       help='median error of a joint, as a share of the spread of the joints (default: 0)')
    group.add_argument('--hide', type=probability, default=0.0, metavar='F',
                       help='hide joints in this share of the samples (default: 0)')
    group.add_argument('--repeat', type=probability, default=0.0, metavar='F',
                       help='repeat one frame in this share of the windows, so that the network also lifts single '
                            'pictures (default: 0)')
    group = parser.add_argument_group('choosing the epoch')
    group.add_argument('--val_subjects', default='', metavar='S,S',
                       help='training subjects that are kept out of training and choose the epoch; the test subjects '
                            'are then evaluated once, at the end (default: none: the test subjects choose the epoch, '
                            'as published)')


def add_speed_flags(group: argparse._ArgumentGroup) -> None:
    """Flags that trade exact numbers for speed."""
    group.add_argument('--amp', choices=['off', 'bf16'], default='off',
                       help='multiply matrices in bfloat16 (default: off)')
    group.add_argument('--tf32', action='store_true', help='let a GPU multiply matrices in TF32')
    group.add_argument('--compile', action='store_true', help='train through torch.compile')
    group.add_argument('--cuda_graph', action='store_true',
                       help='replay training steps as a CUDA graph; not tried on a GPU yet')


def parse_args(parser: argparse.ArgumentParser, architecture: str) -> argparse.Namespace:
    """The flags, with `typed`: {flag: value} of those on the command line or set by `--recipe`.

    Raises:
        UserError: flags exclude each other.
    """
    args = parser.parse_args()
    defaults = RECIPES[args.recipe].get(architecture, {})
    if args.evaluate or args.resume or args.init:  # the file says which network it holds
        defaults = {name: value for name, value in defaults.items() if name not in network_flags(defaults)}
    args.typed = {**defaults, **typed_flags(parser)}
    vars(args).update(args.typed)
    if len([path for path in (args.evaluate, args.resume, args.init) if path]) > 1:
        raise UserError('--evaluate, --resume and --init do not go together: they evaluate a checkpoint, continue its '
                        'run, or start a new run from its weights.')
    for flag in ('by', 'predictions'):
        if getattr(args, flag) and not args.evaluate:
            raise UserError(f'--{flag} is for --evaluate: evaluate a checkpoint of the run with it.')
    return args


def take_flags_from(checkpoint: Checkpoint, path: str, args: argparse.Namespace) -> None:
    """Set the flags that were not typed to the values of a checkpoint's training, and warn of typed ones that differ.

    Raises:
        UserError: the checkpoint was trained with an unknown flag or value.
    """
    for name, value in (checkpoint.recipe and {'train_subjects': [], 'test_subjects': [], **checkpoint.recipe}).items():
        if name in NAME_LISTS:
            value = '*' if value is None else ','.join(value)
        if not hasattr(args, name) or type(getattr(args, name)) is not type(value):
            raise UserError(f'{path} was trained with {name} = {value!r}, which this program does not know.')
        if name not in args.typed:
            setattr(args, name, value)
        elif args.typed[name] != value and name not in ('epochs', 'snapshot'):
            warn(f'--{name} {args.typed[name]} takes the place of {value or "none"}, with which {path} was trained.')
    if not checkpoint.described and 'dropout' in args.typed:  # the tensors do not show it
        checkpoint.config = dataclasses.replace(checkpoint.config, dropout=args.dropout)


def take_network_from(checkpoint: Checkpoint, path: str, args: argparse.Namespace) -> None:
    """Set the network flags that were not typed to the values of a checkpoint whose weights start a new run."""
    for name, value in network_flags(checkpoint.config.as_dict()).items():
        if name not in args.typed:
            setattr(args, name, value)
    if (checkpoint.normalization == 'person') != args.virtual:
        warn(f'{path} was trained {"without" if args.virtual else "with"} --virtual, unlike this run, so its weights '
             f'expect another kind of input.')


def model_config(architecture: str, args: argparse.Namespace) -> ModelConfig:
    """The network that the flags describe; attributes without a flag are as published.

    Raises:
        UserError: there is no such network.
    """
    try:
        return dataclasses.replace(default_config(architecture), **network_flags(vars(args)))
    except ValueError as error:
        raise UserError(f'{error}.') from error


def data_options(args: argparse.Namespace) -> DataOptions:
    names = {name: comma_separated(getattr(args, name)) for name in NAME_LISTS}
    if not names['actions']:
        raise UserError('--actions names no action.')
    if args.actions == '*':
        del names['actions']
    return DataOptions(args.dataset, args.keypoints, downsample=args.downsample, data_dir=args.data_dir, **names)


def recipe(args: argparse.Namespace) -> Recipe:
    """The hyper-parameters that the flags give.

    Raises:
        UserError: flags exclude each other.
    """
    of_virtual, of_real = ('bones', 'turn', 'detector_noise', 'hide', 'repeat'), ('rotate', 'scale', 'noise')
    if args.window > 1 and not args.virtual:
        raise UserError(f'--window {args.window} needs --virtual.')
    if typed := [name for name in (of_real if args.virtual else of_virtual) if getattr(args, name)]:
        raise UserError(f'--{typed[0]} {"does not go together with" if args.virtual else "needs"} --virtual.')
    return Recipe(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Recipe)})


def output(args: argparse.Namespace) -> Output:
    return Output(args.checkpoint, args.report, args.tensorboard, args.save_minutes, command_to_resume(sys.argv))


def command_to_resume(argv: Sequence[str]) -> list[str]:
    """The command line that continues this run when `--resume FILE` is added to it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('-r', '--resume')
    parser.add_argument('--init')
    return ['python', argv[0], *parser.parse_known_args(argv[1:])[1]]
