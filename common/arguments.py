"""Flags of several scripts, and the device that they name."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import torch

from common.argument_types import device_name, file_name_part, positive_int, probability
from common.errors import UserError
from models.config import ModelConfig
from models.sem_gcn import CONVOLUTIONS

_UNTYPED = object()


def resolve_device(name: str) -> torch.device:
    """The device of a name; 'auto' is a GPU if there is one.

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
    """Flags of SemGCN. With a checkpoint they come from the file, and typed ones that contradict it are refused."""
    group = parser.add_argument_group('network (read from the file where there is a checkpoint)')
    group.add_argument('-l', '--num_layers', type=positive_int, default=4, metavar='N',
                       help='residual blocks (default: 4)')
    group.add_argument('-z', '--hid_dim', type=positive_int, default=128, metavar='N',
                       help='channels of a joint (default: 128)')
    group.add_argument('--non_local', action='store_true', help='add non-local blocks')
    group.add_argument('--conv', choices=list(CONVOLUTIONS), default='sem',
                       help='semantic convolution with edge weights shared by all channels, or for each channel '
                            '(default: sem)')
    group.add_argument('--dropout', type=probability, default=0.0, metavar='P',
                       help='dropout after each block (default: 0)')
    return group


def typed_flags(parser: argparse.ArgumentParser, argv: list[str] | None = None) -> dict[str, Any]:
    """{flag: value} of the flags on the command line: argparse sets no default where the namespace has a value."""
    blank = argparse.Namespace(**{action.dest: _UNTYPED for action in parser._actions})
    return {name: value for name, value in vars(parser.parse_args(argv, blank)).items() if value is not _UNTYPED}


def network_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that are attributes of a `ModelConfig`."""
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    return {name: value for name, value in flags.items() if name in names}
