"""Flags of the training scripts, and what they are to the rest of the program."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from common.argument_types import positive_float
from common.arguments import add_run_flags
from common.checkpoint import Checkpoint
from common.datasets.loading import DataOptions
from common.datasets.virtual.samples import VirtualCameras
from common.errors import UserError, warn
from common.evaluation.report import ReportOptions
from common.flags import Parser, filled, flag
from common.training.recipe import RECIPES, Recipe
from models.config import ModelConfig, default_config, network_flags

RETIRED = ('tf32', 'cuda_graph')  # flags of earlier versions that older checkpoints name; they changed no weights


@dataclasses.dataclass(frozen=True)
class Output:
    """Files of a run; `command` is the command line that continues the run with `--resume FILE`."""

    checkpoint: str = flag('checkpoint', 'folder in which each run makes its own folder', short='-c', metavar='DIR')
    save_minutes: float = flag(10.0, 'write ckpt_last.pth.tar this often, and after each epoch', type=positive_float,
                               metavar='F', more=True)
    tensorboard: bool = flag(False, "write TensorBoard scalars to the run's folder", more=True)
    command: Sequence[str] = ()


def training_parser(doc: str | None, epochs: int, snapshot: int) -> Parser:
    """A parser of the flags of a training script, without the flags of its network's size.

    Args:
        doc: the script's docstring.
        epochs, snapshot: published defaults of its network.
    """
    parser = Parser(doc)
    parser.add_flags('data', DataOptions)
    task = 'what to do (by default: train a new network)'
    parser.add_flag(task, 'evaluate', default=None, metavar='FILE', help='evaluate this checkpoint')
    parser.add_flag(task, 'resume', short='-r', default=None, metavar='FILE',
                    help='continue the run of this checkpoint; flags left out come from the file')
    parser.add_flag(task, 'init', default=None, metavar='FILE',
                    help='start a new run from the weights of this checkpoint, averaged where it has an average; '
                         'network flags left out come from the file')
    parser.add_flags('output', Output)
    parser.add_flags('output', ReportOptions)
    parser.add_flag('training', 'recipe', default='published', choices=list(RECIPES),
                    help='named defaults of the training flags, see docs/accuracy.md')
    parser.add_flags('training', Recipe, {'epochs': epochs, 'snapshot': snapshot})
    parser.add_flags('training', ModelConfig, only=('unit',))
    virtual = 'virtual cameras (--recipe wild sets all of these flags)'
    parser.add_flag(virtual, 'virtual', names=['--virtual', '--virtual_cameras'], default=False,
                    more=True, help='train, and evaluate, with random cameras, which project each sample to the joints '
                                    'of a random 2D detector; the input is centred on the person (torchrun takes only '
                                    'the longer spelling)')
    parser.add_flags(virtual, ModelConfig, only=('window',))
    parser.add_flags(virtual, VirtualCameras)
    add_run_flags(parser)
    return parser


def parse_args(parser: Parser, architecture: str) -> argparse.Namespace:
    """The flags, with `typed`: {flag: value} of those on the command line or set by `--recipe`.

    Raises:
        UserError: flags exclude each other.
    """
    args = parser.parse_args()
    defaults = RECIPES[args.recipe].get(architecture, {})
    if args.evaluate or args.resume or args.init:  # the file says which network it holds
        defaults = {name: value for name, value in defaults.items() if name not in network_flags(defaults)}
    args.typed = {**defaults, **parser.typed()}
    vars(args).update(args.typed)
    if len([path for path in (args.evaluate, args.resume, args.init) if path]) > 1:
        raise UserError('--evaluate, --resume and --init do not go together: they evaluate a checkpoint, continue its '
                        'run, or start a new run from its weights.')
    for name in ('by', 'predictions', 'root', 'missing'):
        if getattr(args, name) and not args.evaluate:
            raise UserError(f'--{name} is for --evaluate: evaluate a checkpoint of the run with it.')
    return args


def take_flags_from(checkpoint: Checkpoint, path: str, args: argparse.Namespace) -> None:
    """Set the flags that were not typed to the values of a checkpoint's training, and warn of typed ones that differ.

    Raises:
        UserError: the checkpoint was trained with an unknown flag or value.
    """
    lists = {field.name for field in dataclasses.fields(DataOptions) if 'tuple' in str(field.type)}
    for name, saved in (checkpoint.recipe and {'train_subjects': [], 'test_subjects': [], **checkpoint.recipe}).items():
        value: Any = tuple(saved) if name in lists and isinstance(saved, list) else saved
        if name in RETIRED:
            continue
        if not hasattr(args, name) or (type(getattr(args, name)) is not type(value) and name not in lists):
            raise UserError(f'{path} was trained with {name} = {saved!r}, which this program does not know.')
        if name not in args.typed:
            setattr(args, name, value)
        elif args.typed[name] != value and name not in ('epochs', 'snapshot'):
            now, before = (','.join(each) if isinstance(each, tuple) else each for each in (args.typed[name], value))
            warn(f'--{name} {now} takes the place of {before or "none"}, with which {path} was trained.')
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
    return filled(DataOptions, vars(args))


def virtual_cameras(args: argparse.Namespace) -> VirtualCameras | None:
    """The random changes of samples by virtual cameras; None without `--virtual`."""
    return dataclasses.replace(filled(VirtualCameras, vars(args)), flip=args.flip) if args.virtual else None


def recipe(args: argparse.Namespace) -> Recipe:
    """The hyper-parameters that the flags give.

    Raises:
        UserError: flags exclude each other.
    """
    of_virtual = [part.name for part in dataclasses.fields(VirtualCameras) if part.metadata and part.name != 'pitch']
    of_real = 'rotate', 'scale', 'noise'
    if args.window > 1 and not args.virtual:
        raise UserError(f'--window {args.window} needs --virtual.')
    if typed := [name for name in (of_real if args.virtual else of_virtual) if getattr(args, name)]:
        raise UserError(f'--{typed[0]} {"does not go together with" if args.virtual else "needs"} --virtual.')
    return dataclasses.replace(filled(Recipe, vars(args)), virtual=virtual_cameras(args))


def report_options(args: argparse.Namespace) -> ReportOptions:
    return filled(ReportOptions, vars(args))


def output(args: argparse.Namespace) -> Output:
    return dataclasses.replace(filled(Output, vars(args)), command=command_to_resume(sys.argv))


def command_to_resume(argv: Sequence[str]) -> list[str]:
    """The command line that continues this run when `--resume FILE` is added to it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('-r', '--resume')
    parser.add_argument('--init')
    return ['python', argv[0], *parser.parse_known_args(argv[1:])[1]]
