"""Flags of every script that runs a network: the device."""

from __future__ import annotations

import argparse

import torch

from common.argument_types import device_name
from common.errors import UserError
from common.flags import Parser


def add_run_flags(parser: Parser) -> None:
    parser.add_flag('running', 'device', default='auto', help='auto, cpu, cuda, cuda:N or mps', type=device_name,
                    metavar='DEVICE')
    # accepted because the published scripts have it; the data lie on the device
    parser.add_flag('running', 'num_workers', default=8, help=argparse.SUPPRESS)


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
