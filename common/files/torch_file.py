"""Reading the files of `torch.save`, old and new, without running anything in them."""

import io
import os
import pickle
import warnings
import zipfile
from typing import Any

import torch
from torch import Tensor

from common.errors import printable
from common.files import safe_pickle
from common.files.plain_data import RefusedPickle


def read(path: str) -> Any:
    """Return what `torch.save` wrote, tensors on the CPU.

    `torch.load(weights_only=True)` reads what PyTorch writes today. Files of Python 2, as the published checkpoints
    are, and files with numbers of NumPy go through `torch.load` with the allow-list of `safe_pickle.py`.

    Raises:
        pickle.UnpicklingError: the file is damaged, or holds more than plain data and tensors.
        OSError: it cannot be read.
    """
    with open(path, 'rb') as file:  # into memory, because torch.load would unpack a tar file on disk
        content = io.BytesIO(file.read())
    try:
        _refuse_programs(content)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about protocols and storages
            value = _load(content)
        for other in safe_pickle.others(value):
            if not isinstance(other, Tensor):
                raise RefusedPickle(f'it holds a {type(other).__name__}, which is not plain data')
            if (other.layout, other.device.type) != (torch.strided, 'cpu') or other.nbytes > os.path.getsize(path):
                raise RefusedPickle('it holds a tensor larger than itself')
        return value
    except RefusedPickle:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        reason = printable(str(error).split('\n')[0] or type(error).__name__)
        raise pickle.UnpicklingError(f'it is damaged, cut short or not of torch.save ({reason})') from error


def _load(content: io.BytesIO) -> Any:
    try:
        return torch.load(content, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, UnicodeDecodeError):
        content.seek(0)
        return torch.load(content, map_location='cpu', weights_only=False, pickle_module=safe_pickle, encoding='latin1')


def _refuse_programs(content: io.BytesIO) -> None:
    """Refuse archives of TorchScript, which PyTorch before 2.6 runs even with `weights_only`."""
    if zipfile.is_zipfile(content):
        with zipfile.ZipFile(content) as archive:
            if any(name.endswith('constants.pkl') for name in archive.namelist()):
                raise RefusedPickle('it is a program of TorchScript')
    content.seek(0)
