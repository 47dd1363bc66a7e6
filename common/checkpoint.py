"""Checkpoints: the published layout, with what is needed to rebuild the network and to go on to the bit."""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import UserError, listing, printable
from common.files import torch_file
from common.files.atomic import atomic_write
from common.geometry.skeleton import Skeleton
from models.config import ModelConfig, build_model, infer_config

NORMALIZATIONS = ('image', 'person')
BEST, LAST = 'ckpt_best.pth.tar', 'ckpt_last.pth.tar'


def snapshot_name(epoch: int) -> str:
    return f'ckpt_epoch_{epoch:04d}.pth.tar'


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    The first six are the published keys, under these names. The others are this project's; the published code ignores
    them, and published files lack them.

    Attributes:
        epoch: epochs completed.
        lr: learning rate of the last step.
        step: steps taken.
        state_dict: of the network.
        optimizer: state dict of Adam; None where the file has none.
        error: P1 of the test set after that epoch, mean over its poses, mm.
        config: which network it is.
        described: whether the file itself tells `config`; otherwise it was read off the tensors.
        best_error: the lowest `error` of the run up to here.
        recipe: hyper-parameters and data that the run was started with.
        random: states of the random generators; that of the order is from before it drew an epoch under way.
        average: {'state_dict': moving average of the network's, 'updates': number of its updates}; empty without one.
        under_way: of the epoch after `epoch`: poses seen, poses it has, sum of their losses (m^2).
        keypoints_range: where in the image and how large the training poses were, see `poses.measure_range`.
        normalization: of the keypoints: 'image' (`camera.normalize_screen`) or 'person' (`person.person_input`).
    """

    epoch: int
    lr: float
    step: int
    state_dict: dict[str, Tensor]
    optimizer: dict[str, Any] | None
    error: float
    config: ModelConfig
    described: bool = True
    best_error: float = math.inf
    recipe: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Any] = field(default_factory=dict)
    under_way: tuple[int, int, float] = (0, 0, 0.0)
    keypoints_range: dict[str, Any] = field(default_factory=dict)
    normalization: str = 'image'

    def save(self, path: str) -> None:
        """Write the file, in whole or not at all, in the container that PyTorch 1.1 reads."""
        content = {name: getattr(self, name) for name in _PUBLISHED_KEYS + _OWN_KEYS}
        content['config'] = self.config.as_dict()
        buffer = io.BytesIO()  # torch would tell a full disk as an error of its own, not the system's
        torch.save(content, buffer, _use_new_zipfile_serialization=False)
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())


_PUBLISHED_KEYS = ('epoch', 'lr', 'step', 'state_dict', 'optimizer', 'error')
_OWN_KEYS = ('config', 'best_error', 'recipe', 'random', 'average', 'under_way', 'keypoints_range', 'normalization')


def load_checkpoint(path: str) -> Checkpoint:
    """Read a checkpoint of this project or of the published code, without running anything in it.

    Raises:
        UserError: the file is missing, is damaged, is no checkpoint, or is of a network that is not known.
    """
    try:
        content = torch_file.read(path)
    except FileNotFoundError:
        raise UserError(f'{path} is missing.') from None
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
    except pickle.UnpicklingError as error:
        raise UserError(f'{path} is not a readable checkpoint: {error}.') from error
    state = content.get('state_dict') if isinstance(content, dict) else None
    if not _is_state(state):
        raise UserError(f'{path} is not a checkpoint: it has no state_dict of tensors.')
    try:
        return _checked(content, state)
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} is not a usable checkpoint: {printable(error, 500)}.') from error


def _checked(content, state):
    described = 'config' in content
    config = _config(_of_type(content, 'config', dict)) if described else infer_config(state)
    _check_weights(state)
    error = _number(content, 'error', math.inf)
    return Checkpoint(
        epoch=_counter(content, 'epoch'), lr=_number(content, 'lr', 0.0), step=_counter(content, 'step'),
        state_dict=state, optimizer=_of_type(content, 'optimizer', dict | None, None), error=error, config=config,
        described=described, best_error=_number(content, 'best_error', error),
        recipe=_of_type(content, 'recipe', dict, {}), random=_of_type(content, 'random', dict, {}),
        average=_average(_of_type(content, 'average', dict, {})), under_way=_under_way(content),
        keypoints_range=_of_type(content, 'keypoints_range', dict, {}), normalization=_normalization(content))


def _normalization(content):
    value = _of_type(content, 'normalization', str, 'image')
    if value not in NORMALIZATIONS:
        raise ValueError(f'its normalization is {printable(value, 40)!r}')
    return value


def _is_state(value):
    return isinstance(value, dict) and all(type(name) is str and isinstance(tensor, Tensor)
                                           for name, tensor in value.items())


def _check_weights(state):
    # as float32, which they become: a finite float64 need not be a finite float32
    if not all(value.float().isfinite().all() for value in state.values() if value.is_floating_point()):
        raise ValueError('its weights are not all finite numbers')
    if any((value < 0).any() for name, value in state.items() if name.endswith('running_var')):
        raise ValueError('its batch norms have negative variances')


def _average(held):
    if not held:
        return {}
    if not _is_state(held.get('state_dict')):
        raise ValueError('its moving average has no state_dict of tensors')
    _check_weights(held['state_dict'])
    return {'state_dict': held['state_dict'], 'updates': _counter(held, 'updates')}


def _under_way(content):
    held = _of_type(content, 'under_way', tuple, (0, 0, 0.0))
    if [type(value) for value in held] != [int, int, float] or not (0 <= held[0] <= held[1] and held[2] >= 0):
        raise ValueError(f'its under_way is {held}')
    return held


def _config(held):
    known = {attribute.name for attribute in dataclasses.fields(ModelConfig)}
    if 'architecture' not in held or not held.keys() <= known:
        raise ValueError(f'its config has {listing(held) or "nothing"} where {listing(known)} are known')
    return ModelConfig(**held)


def _of_type(content, key, kind, *default):
    if key not in content and default:
        return default[0]
    value = content[key]
    if getattr(value, 'ndim', None) == 0:  # a number of NumPy or PyTorch
        value = value.item()
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f'its {key} is a {type(value).__name__}')
    return value


def _counter(content, key):
    value = _of_type(content, key, int, 0)
    if not 0 <= value < 1 << 53:
        raise ValueError(f'its {key} is {value}')
    return value


def _number(content, key, default):
    value = _of_type(content, key, int | float, default)
    if not 0 <= value < 1e300 and not (value == math.inf and key != 'lr'):  # infinite: no error has been measured yet
        raise ValueError(f'its {key} is {value}')
    return float(value)


def restore_model(checkpoint: Checkpoint, path: str, skeleton: Skeleton, dropout: float | None = None,
                  averaged: bool = True) -> nn.Module:
    """Build the network that a checkpoint describes and give it the checkpoint's weights.

    Args:
        dropout: for files that do not tell it (their tensors cannot).
        averaged: take the moving average, where the file has one; a training goes on with the weights themselves.
    Raises:
        UserError: the weights do not fit the network or the skeleton.
    """
    config = checkpoint.config
    if dropout is not None and not checkpoint.described:
        config = dataclasses.replace(config, dropout=dropout)
    with torch.device('meta'):  # nothing is allocated before the shapes are known to agree
        expected = build_model(config, skeleton).state_dict()
    found = checkpoint.average['state_dict'] if averaged and checkpoint.average else checkpoint.state_dict
    for name in [*expected, *found]:
        has, needs = _describe(found.get(name)), _describe(expected.get(name))
        if has != needs:
            raise UserError(f'{path} does not fit a {config.describe()} on {len(skeleton)} joints: for '
                            f'{printable(name)} it has {has} where the network has {needs}.')
    model = build_model(config, skeleton)
    model.load_state_dict(found)
    return model


def _describe(tensor: Tensor | None) -> str:
    if tensor is None:
        return 'nothing'
    return f'{tuple(tensor.shape)} {"numbers" if tensor.is_floating_point() else "integers"}'


def check_flags(checkpoint: Checkpoint, path: str, flags: dict[str, Any]) -> None:
    """Refuse flags given on the command line that contradict the file.

    Args:
        flags: {name of a ModelConfig attribute: the value given}.
    Raises:
        UserError: it names the flag and what the file holds.
    """
    held = checkpoint.config.as_dict()
    for name, value in flags.items():
        known = checkpoint.described or name != 'dropout'
        if known and held[name] != value:
            flag = f'--{name}' if isinstance(value, bool) else f'--{name} {value}'
            raise UserError(f'{flag} contradicts {path}, which holds a {checkpoint.config.describe()} with {name} '
                            f'{held[name]}; leave the flag out.')
