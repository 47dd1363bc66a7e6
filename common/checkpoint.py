"""Checkpoint files: the published keys, and what rebuilding the network and resuming to the same bits need."""

import dataclasses
import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from common.errors import UserError, listing, printable
from common.files import torch_file
from common.files.atomic import atomic_write
from common.geometry import body
from common.geometry.person import FEWEST_VISIBLE
from common.geometry.skeleton import Skeleton
from models.config import ModelConfig, build_model, infer_config

NORMALIZATIONS = ('image', 'person')
BEST, LAST = 'ckpt_best.pth.tar', 'ckpt_last.pth.tar'


def snapshot_name(epoch: int) -> str:
    """The file name of an epoch's snapshot."""
    return f'ckpt_epoch_{epoch:04d}.pth.tar'


@dataclass
class Checkpoint:
    """The content of a checkpoint file.

    The first six attributes are the published keys. The others are this project's: the published code ignores them, and
    published files lack them.

    Attributes:
        epoch: completed epochs.
        lr: learning rate of the last step.
        step: steps taken.
        state_dict: weights of the network.
        optimizer: state dict of Adam; None where the file has none.
        error: P1 on the test set after that epoch, mean over its poses, mm.
        config: the network.
        described: whether the file holds `config`; otherwise the tensors imply it.
        best_error: the lowest `error` of the run so far.
        recipe: hyper-parameters and data that the run was started with.
        random: states of the random generators; the state of the order's generator is from before the current epoch.
        average: {'state_dict': moving average of the weights, 'updates': number of its updates}; empty without one.
        under_way: progress within the next epoch: poses seen, poses in the epoch, sum of the losses so far (m^2).
        keypoints_range: place and size of the training poses in the image, see `poses.measure_range`.
        normalization: of the keypoints: 'image' (`camera.normalize_screen`) or 'person' (`person.person_input`).
        skeleton: of the poses; None where the file lacks it. Published files have the 16 of `body.NAMES`.
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
    skeleton: Skeleton | None = None

    @property
    def fewest_visible(self) -> float:
        """Share of a pose's joints that must be visible: all, unless the network was trained with hidden joints."""
        hidden = self.normalization == 'person' and float(self.recipe.get('hide') or 0) > 0
        return FEWEST_VISIBLE if hidden else 1.0

    def save(self, path: str) -> None:
        """Write the file atomically, in the container that PyTorch 1.1 reads."""
        content = {name: getattr(self, name) for name in _PUBLISHED_KEYS + _OWN_KEYS}
        content['config'] = self.config.as_dict()
        if self.skeleton:
            content['skeleton'] = self.skeleton.as_dict()
        buffer = io.BytesIO()  # because torch hides the reason when it cannot write to a full disk
        torch.save(content, buffer, _use_new_zipfile_serialization=False)
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())


_PUBLISHED_KEYS = ('epoch', 'lr', 'step', 'state_dict', 'optimizer', 'error')
_OWN_KEYS = ('config', 'best_error', 'recipe', 'random', 'average', 'under_way', 'keypoints_range', 'normalization')


def load_checkpoint(path: str) -> Checkpoint:
    """Read a checkpoint of this project or of the published code. Nothing in the file is run.

    A state dict alone is a checkpoint too, and prefixes of wrapped networks (`module.` of DataParallel) are removed.

    Raises:
        UserError: the file is missing, damaged, no checkpoint, or of an unknown network.
    """
    try:
        content = torch_file.read(path)
    except FileNotFoundError:
        raise UserError(f'{path} is missing.') from None
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
    except pickle.UnpicklingError as error:
        raise UserError(f'{path} is not a readable checkpoint: {error}.') from error
    if _is_state(content):
        content = {'state_dict': content}
    if not isinstance(content, dict) or not _is_state(content.get('state_dict')):
        keys = f' but {listing(content)}' if isinstance(content, dict) and content else ''
        raise UserError(f'{path} is not a checkpoint: it has no state_dict of tensors{keys}. Save a network\'s '
                        'state_dict() alone, or in a dict under that name.')
    try:
        return _checked(content)
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} is not a usable checkpoint: {printable(error, 500)}.') from error


def _checked(content: dict[str, Any]) -> Checkpoint:
    described = 'config' in content
    state = _weights(content['state_dict'])
    config = _config(_of_type(content, 'config', dict)) if described else infer_config(state)
    error = _number(content, 'error', math.inf)
    average = _of_type(content, 'average', dict, {})
    if average:
        average = {'state_dict': _weights(average.get('state_dict')), 'updates': _counter(average, 'updates')}
    normalization = _of_type(content, 'normalization', str, 'image')
    if normalization not in NORMALIZATIONS:
        raise ValueError(f'its normalization is {printable(normalization, 40)}')
    skeleton = _of_type(content, 'skeleton', dict, {})
    return Checkpoint(
        epoch=_counter(content, 'epoch'), lr=_number(content, 'lr', 0.0), step=_counter(content, 'step'),
        state_dict=state, optimizer=_of_type(content, 'optimizer', dict | None, None), error=error, config=config,
        described=described, best_error=_number(content, 'best_error', error),
        recipe=_of_type(content, 'recipe', dict, {}), random=_of_type(content, 'random', dict, {}), average=average,
        under_way=_under_way(content), keypoints_range=_of_type(content, 'keypoints_range', dict, {}),
        normalization=normalization, skeleton=Skeleton.from_dict(skeleton) if skeleton else None)


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(
        type(name) is str and isinstance(tensor, Tensor) for name, tensor in value.items())


def _weights(state: Any) -> dict[str, Tensor]:
    """Check a state dict and return it without the prefixes of wrapped networks."""
    if not _is_state(state):
        raise ValueError('its moving average has no state_dict of tensors')
    for prefix in ('module.', '_orig_mod.'):  # DataParallel, torch.compile
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    # as float32, which they become: a finite float64 need not be a finite float32
    if not all(value.float().isfinite().all() for value in state.values() if value.is_floating_point()):
        raise ValueError('its weights are not all finite numbers')
    if any((value < 0).any() for name, value in state.items() if name.endswith('running_var')):
        raise ValueError('its batch norms have negative variances')
    return state


def _under_way(content: dict[str, Any]) -> tuple[int, int, float]:
    held = _of_type(content, 'under_way', tuple, (0, 0, 0.0))
    if [type(value) for value in held] != [int, int, float] or not (0 <= held[0] <= held[1] and held[2] >= 0):
        raise ValueError(f'its under_way is {held}')
    return held


def _config(held: dict[str, Any]) -> ModelConfig:
    known = {attribute.name for attribute in dataclasses.fields(ModelConfig)}
    if 'architecture' not in held or not held.keys() <= known:
        raise ValueError(f'its config has {listing(held) or "nothing"} where {listing(known)} are known')
    return ModelConfig(**held)


def _of_type(content: dict[str, Any], key: str, kind: Any, *default: Any) -> Any:
    if key not in content and default:
        return default[0]
    value = content[key]
    if getattr(value, 'ndim', None) == 0:  # a number of NumPy or PyTorch
        value = value.item()
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f'its {key} is a {type(value).__name__}')
    return value


def _counter(content: dict[str, Any], key: str) -> int:
    value = _of_type(content, key, int, 0)
    if not 0 <= value < 1 << 53:
        raise ValueError(f'its {key} is {value}')
    return value


def _number(content: dict[str, Any], key: str, default: float) -> float:
    value = _of_type(content, key, int | float, default)
    if not 0 <= value < 1e300 and not (value == math.inf and key != 'lr'):  # infinite: no error has been measured yet
        raise ValueError(f'its {key} is {value}')
    return float(value)


def restore_model(checkpoint: Checkpoint, path: str, skeleton: Skeleton, averaged: bool = True) -> nn.Module:
    """The network that a checkpoint describes, with the checkpoint's weights.

    Args:
        path: of the checkpoint, for messages.
        skeleton: of the poses that the network will see.
        averaged: use the moving average of the weights where the file has one; False for a training that continues.
    Raises:
        UserError: the weights do not fit the network, or the skeleton is another one.
    """
    config = checkpoint.config
    _check_skeleton(checkpoint, path, skeleton)
    with _ShapesOnly():  # nothing is allocated before the shapes are known to agree
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


class _ShapesOnly(TorchFunctionMode):
    """Gives new networks parameters without memory or values.

    Their tensors are made on the meta device. Constants are not: much of the arithmetic on that device, as the normal
    initialisation that is left out here, imports torch._dynamo for a second and more.
    """

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        if function is Tensor.normal_:
            return args[0]
        return function(*args, **{**(kwargs or {}), **({'device': 'meta'} if function is torch.empty else {})})


def _check_skeleton(checkpoint: Checkpoint, path: str, skeleton: Skeleton) -> None:
    """Refuse other joints. Shapes alone do not show them: all trees of J joints have the same number of edges."""
    own = checkpoint.skeleton
    names = own.names if own else body.NAMES
    if own:
        same = (own.names, own.parents) == (skeleton.names, skeleton.parents)
    else:
        same = skeleton.names == names or len(skeleton) != len(names)  # then the shapes show it
    if not same:
        raise UserError(f'{path} was trained on the joints {listing(names, 32)}, which are not the joints here: '
                        f'{listing(skeleton.names, 32)}. --init takes the weights that fit.')
    if own and checkpoint.config.non_local and sorted(own.groups) != sorted(skeleton.groups):
        raise UserError(f'{path} pools the joints in the groups {own.groups}, the skeleton here in {skeleton.groups}.')


def _describe(tensor: Tensor | None) -> str:
    if tensor is None:
        return 'nothing'
    return f'{tuple(tensor.shape)} {"numbers" if tensor.is_floating_point() else "integers"}'


def check_flags(checkpoint: Checkpoint, path: str, flags: dict[str, Any]) -> None:
    """Refuse typed flags that contradict the file.

    Args:
        flags: {name of a ModelConfig attribute: the typed value}.
    Raises:
        UserError: a flag contradicts the file; the sentence names both.
    """
    held = checkpoint.config.as_dict()
    for name, value in flags.items():
        known = checkpoint.described or name != 'dropout'
        if known and held[name] != value:
            flag = f'--{name}' if isinstance(value, bool) else f'--{name} {value}'
            raise UserError(f'{flag} contradicts {path}, which holds a {checkpoint.config.describe()} with {name} '
                            f'{held[name]}; leave the flag out.')
