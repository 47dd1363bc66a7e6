"""The flags that scripts share, what they mean to the rest of the program, and which of them were typed."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

import torch

from common import distributed
from common.argument_types import (
    angle,
    device_name,
    file_name_part,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    probability,
    share,
)
from common.datasets.loading import DataOptions
from common.errors import UserError, warn
from common.evaluation import scoring
from common.evaluation.metrics import LOSSES
from common.training import trainer
from common.training.malloc import keep_freed_memory
from common.training.recipe import OPTIMIZERS, RECIPES, SCHEDULES, Recipe
from models.config import ModelConfig, default_config

_UNTYPED = object()


def resolve_device(name: str) -> torch.device:
    """The device that a user means.

    Raises:
        UserError: this machine has no such device.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu'
    device = torch.device(name)
    if device.type == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            has = f'it has {count} of them, counted from 0' if count else 'PyTorch finds no CUDA GPU here'
            raise UserError(f'--device {name}: this machine has no such GPU ({has}); use --device cpu.')
        return torch.device('cuda', device.index or 0)
    if device.type == 'mps' and not torch.backends.mps.is_available():
        raise UserError('--device mps: this machine has no Apple GPU that PyTorch can use; use --device cpu.')
    return device


def add_data_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group('data')
    group.add_argument('-d', '--dataset', type=file_name_part, default='h36m', metavar='NAME',
                       help='dataset: data_3d_NAME.npz in the data folder, or demo, which is made at first use '
                            '(default: h36m)')
    group.add_argument('-k', '--keypoints', type=file_name_part, default='gt', metavar='NAME',
                       help='2D keypoints: data_2d_DATASET_NAME.npz; gt is projected from the 3D where there is no '
                            'such file (default: gt)')
    group.add_argument('--data_dir', default='data', metavar='DIR', help='folder of the datasets (default: data)')
    return group


def add_run_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group('running')
    group.add_argument('--device', type=device_name, default='auto', metavar='DEVICE',
                       help='auto, cpu, cuda, cuda:N or mps (default: auto)')
    group.add_argument('--num_workers', type=int, default=8, metavar='N',
                       help='accepted for old commands and not used: the data lie on the device')
    return group


def add_network_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Of SemGCN. A checkpoint tells them itself; typed ones that contradict it are refused."""
    group = parser.add_argument_group('network (read from the file where there is a checkpoint)')
    group.add_argument('-l', '--num_layers', type=positive_int, default=4, metavar='N',
                       help='residual blocks (default: 4)')
    group.add_argument('-z', '--hid_dim', type=positive_int, default=128, metavar='N',
                       help='channels of a joint (default: 128)')
    group.add_argument('--non_local', action='store_true', help='add non-local blocks')
    group.add_argument('--conv', choices=['sem', 'semch'], default='sem',
                       help='semantic convolution with edge weights shared by all channels, or for each channel '
                            '(default: sem)')
    group.add_argument('--dropout', type=probability, default=0.0, metavar='P',
                       help='dropout after each block (default: 0)')
    return group


def trainer_parser(doc: str | None, epochs: int, snapshot: int) -> argparse.ArgumentParser:
    """The flags of a script that trains, but for those of its network.

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

    group = parser.add_argument_group('what to do')
    group.add_argument('--evaluate', metavar='FILE', help='score this checkpoint instead of training')
    group.add_argument('-r', '--resume', metavar='FILE',
                       help='go on from this checkpoint; flags left out are as the file has them')
    group.add_argument('-c', '--checkpoint', default='checkpoint', metavar='DIR',
                       help='folder in which each run makes its own (default: checkpoint)')
    group.add_argument('--snapshot', type=positive_int, default=snapshot, metavar='N',
                       help=f'keep the checkpoint of every Nth epoch (default: {snapshot})')
    group.add_argument('--report', metavar='FILE.json', help='write the errors of the evaluation as JSON')
    group.add_argument('--save_minutes', type=positive_float, default=10.0, metavar='F',
                       help='write ckpt_last.pth.tar this often, beside after each epoch (default: 10)')
    group.add_argument('--tensorboard', action='store_true', help='write TensorBoard scalars to the run\'s folder')

    group = parser.add_argument_group('training')
    group.add_argument('-e', '--epochs', type=positive_int, default=epochs, metavar='N',
                       help=f'epochs in all (default: {epochs})')
    group.add_argument('-b', '--batch_size', type=positive_int, default=64, metavar='N',
                       help='poses a step (default: 64)')
    group.add_argument('--lr', type=positive_float, default=1e-3, help='learning rate (default: 1e-3)')
    group.add_argument('--lr_decay', type=positive_int, default=100_000, metavar='N',
                       help='steps after which the learning rate is set anew (default: 100000)')
    group.add_argument('--lr_gamma', type=positive_float, default=0.96, metavar='F',
                       help='lr * F^(step / lr_decay) is what it is set to (default: 0.96)')
    group.add_argument('--no_max', dest='max_norm', action='store_false',
                       help='do not clip the norm of the gradient to 1')
    group.add_argument('--seed', type=int, default=0, metavar='N', help='of every random choice (default: 0)')
    add_recipe_flags(parser)
    add_speed_flags(add_run_flags(parser))
    return parser


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('training otherwise than published')
    group.add_argument('--recipe', choices=list(RECIPES), default='published',
                       help='defaults of the flags of this group and of --lr: as published, or tuned '
                            '(docs/accuracy.md; default: published)')
    group.add_argument('--ema', type=probability, default=0.0, metavar='DECAY',
                       help='evaluate the exponential moving average of the weights, e.g. 0.999 (default: 0, none)')
    group.add_argument('--schedule', choices=SCHEDULES, default='published',
                       help='of the learning rate; linear and cosine fall to nothing in the last step '
                            '(default: published)')
    group.add_argument('--warmup_steps', type=non_negative_int, default=0, metavar='N',
                       help='steps in which the learning rate rises from nothing (default: 0)')
    group.add_argument('--optimizer', choices=list(OPTIMIZERS), default='adam', help='(default: adam)')
    group.add_argument('--weight_decay', type=non_negative_float, default=0.0, metavar='F', help='(default: 0)')
    group.add_argument('--loss', choices=list(LOSSES), default='mse',
                       help='mean squared error, mean distance of joints, mean absolute error, or that rounded within '
                            '5 cm (default: mse)')
    group.add_argument('--bn_momentum', type=share, default=0.1, metavar='F',
                       help='share of a batch in the running statistics of batch norm (default: 0.1)')
    group.add_argument('--flip', action='store_true', help='mirror half of the samples')
    group.add_argument('--rotate', type=angle, default=0.0, metavar='DEG',
                       help='turn each sample by up to this angle about the vertical and project it anew (default: 0)')
    group.add_argument('--scale', type=probability, default=0.0, metavar='F',
                       help='make each body larger or smaller by up to this share and project it anew (default: 0)')
    group.add_argument('--noise', type=non_negative_float, default=0.0, metavar='F',
                       help='standard deviation of noise on the keypoints; the image is 2 wide (default: 0)')
    group.add_argument('--tta', choices=['off', 'flip'], default='off',
                       help='evaluate each pose and its mirror image, and take the mean (default: off)')
    group.add_argument('--val_subjects', default='', metavar='S,S',
                       help='training subjects to keep out and choose the epoch by; the test subjects are then scored '
                            'once, at the end (default: none, the test subjects choose, as published)')


def add_speed_flags(group: argparse._ArgumentGroup) -> None:
    """Of training; each changes numbers a little."""
    group.add_argument('--amp', choices=['off', 'bf16'], default='off',
                       help='multiply matrices in bfloat16 (default: off)')
    group.add_argument('--tf32', action='store_true', help='let a GPU multiply matrices in TF32')
    group.add_argument('--compile', action='store_true', help='train through torch.compile')


def typed_flags(parser: argparse.ArgumentParser, argv: list[str] | None = None) -> dict[str, Any]:
    """{flag: value} of the flags that stand on the command line: argparse leaves alone what a namespace already has."""
    blank = argparse.Namespace(**{action.dest: _UNTYPED for action in parser._actions})
    return {name: value for name, value in vars(parser.parse_args(argv, blank)).items() if value is not _UNTYPED}


def data_options(args: argparse.Namespace) -> DataOptions:
    actions = None if args.actions == '*' else _names(args.actions)
    if actions == ():
        raise UserError('--actions names no action.')
    return DataOptions(args.dataset, args.keypoints, actions, args.downsample, args.data_dir, _names(args.val_subjects))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(','))))


def run_trainer(architecture: str, parser: argparse.ArgumentParser, argv: list[str] | None = None) -> None:
    """Do what the command line of a training script asks for.

    Raises:
        UserError: it cannot be done.
    """
    args = parser.parse_args(argv)
    keep_freed_memory()
    typed = typed_flags(parser, argv)
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    network = {name: value for name, value in vars(args).items() if name in names}
    typed_network = {name: value for name, value in typed.items() if name in names}
    for name, value in RECIPES[args.recipe][architecture].items():
        typed.setdefault(name, value)
        setattr(args, name, typed[name])
    device = distributed.start(resolve_device(args.device))
    output = trainer.Output(args.checkpoint, args.report, args.tensorboard, args.save_minutes, _command(argv))
    if args.evaluate and args.resume:
        raise UserError('--evaluate and --resume do not go together: the first scores a checkpoint, the second trains '
                        'it further.')
    if args.evaluate:
        scoring.evaluate_checkpoint(args.evaluate, architecture, typed_network, data_options(args), device, args.report,
                                    args.tta)
        return
    resume = None
    if args.resume:
        checkpoint = scoring.load(args.resume, architecture, typed_network)
        resume = args.resume, checkpoint
        _take_over(args, typed, checkpoint.recipe, args.resume)
        dropout = {} if checkpoint.described else {'dropout': network.get('dropout', checkpoint.config.dropout)}
        config = dataclasses.replace(checkpoint.config, **dropout)
    else:
        try:
            config = dataclasses.replace(default_config(architecture), **network)
        except ValueError as error:
            raise UserError(f'{error}.') from error
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Recipe)})
    trainer.Training(config, recipe, data_options(args), device, output, resume).run()


def _command(argv: list[str] | None) -> list[str]:
    """The command line as it was typed, without --resume: with another --resume at its end it goes on."""
    rest = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    rest.add_argument('-r', '--resume')
    return ['python', sys.argv[0], *rest.parse_known_args(argv)[1]]


def _take_over(args: argparse.Namespace, typed: dict[str, Any], recipe: dict[str, Any], path: str) -> None:
    """Flags that were not typed become those the checkpoint was trained with; typed ones that differ are named."""
    for name, value in recipe.items():
        if name in ('actions', 'val_subjects'):
            value = '*' if value is None else ','.join(value)
        if not hasattr(args, name) or type(getattr(args, name)) is not type(value):
            raise UserError(f'{path} was trained with {name} = {value!r}, which this program does not know.')
        if name not in typed:
            setattr(args, name, value)
        elif typed[name] != value and name not in ('epochs', 'snapshot'):
            warn(f'--{name} {typed[name]} takes the place of {value}, with which {path} was trained.')
