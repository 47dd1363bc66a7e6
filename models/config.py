"""The config that describes a network, and the network that it describes."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from common.argument_types import positive_float, positive_int, probability
from common.flags import flag
from common.geometry.graph import adjacency
from common.geometry.skeleton import Skeleton
from models.fast import LinearModel, SemGCN  # the same networks as in models/*.py, faster
from models.sem_gcn import CONVOLUTIONS


@dataclass(frozen=True)
class ModelConfig:
    """Kind and size of a network. Checkpoints hold it, so that the network can be rebuilt from the file alone.

    Attributes:
        architecture: 'gcn' (SemGCN) or 'linear' (Martinez et al.).
        hid_dim, num_layers, dropout: arguments of the networks.
        non_local, conv: arguments of SemGCN only.
        window: number of frames in the input, odd; the network predicts the pose of the middle frame.
        unit: metres that 1 stands for in the last layer. Where it is 1, the weights of that layer are so small that
            Adam's steps are a large share of them.
    """

    architecture: str
    hid_dim: int = flag(128, 'channels of a joint', short='-z', type=positive_int, metavar='N')
    num_layers: int = flag(4, 'residual blocks', short='-l', type=positive_int, metavar='N')
    dropout: float = flag(0.0, 'dropout after each block', type=probability, metavar='P', more=True)
    non_local: bool = flag(False, 'add non-local blocks')
    conv: str = flag('sem', 'semantic convolution with edge weights shared by all channels, or for each channel',
                     choices=list(CONVOLUTIONS), more=True)
    window: int = flag(1, 'number of frames around the predicted one that the network sees, odd', type=positive_int,
                       metavar='N', more=True)
    unit: float = flag(1.0, 'length that 1 stands for in the last layer, a property of the network; a small one makes '
                            "Adam's steps smaller there", type=positive_float, metavar='METRES', more=True)

    def __post_init__(self) -> None:
        wrong = [f'{field.name} {getattr(self, field.name)!r}' for field in fields(self)
                 if type(getattr(self, field.name)) is not field.type]
        if not wrong and self.architecture not in DEFAULTS_BY_ARCHITECTURE:
            wrong.append(f'architecture {self.architecture!r}')
        if not wrong and self.conv not in CONVOLUTIONS:
            wrong.append(f'conv {self.conv!r}')
        if not wrong and not (1 <= self.hid_dim <= 1 << 14 and 0 <= self.num_layers <= 256 and 0 <= self.dropout < 1):
            wrong.append(f'hid_dim {self.hid_dim}, num_layers {self.num_layers}, dropout {self.dropout}')
        if not wrong and not (1 <= self.window <= 99 and self.window % 2):
            wrong.append(f'window {self.window}, which must be odd')
        if not wrong and not 1e-6 <= self.unit <= 1e6:
            wrong.append(f'unit {self.unit}')
        if not wrong and self.non_local and self.hid_dim % 2:
            wrong.append(f'non_local with the odd hid_dim {self.hid_dim}')
        if wrong:
            raise ValueError(f'no network has {", ".join(wrong)}')

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        """A short description for messages."""
        frames = f', {self.window} frames at a time' if self.window > 1 else ''
        if self.architecture == 'linear':
            return f'linear model ({self.num_layers} stages of {self.hid_dim}{frames})'
        kinds = {'sem': 'SemGCN', 'semch': 'SemGCN with channel-wise convolutions'}
        kind = kinds.get(self.conv, f'SemGCN with {self.conv}') if self.architecture == 'gcn' else self.architecture
        return f'{kind}{", non-local" if self.non_local else ""} ({self.num_layers} layers of {self.hid_dim}{frames})'


DEFAULTS_BY_ARCHITECTURE: dict[str, dict[str, Any]] = {
    'gcn': {},
    'linear': {'hid_dim': 1024, 'num_layers': 2, 'dropout': 0.5},
}


def default_config(architecture: str) -> ModelConfig:
    """The published network of that architecture."""
    return ModelConfig(architecture, **DEFAULTS_BY_ARCHITECTURE[architecture])


def network_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that are attributes of a `ModelConfig`."""
    names = {field.name for field in fields(ModelConfig)}
    return {name: value for name, value in flags.items() if name in names}


def build_model(config: ModelConfig, skeleton: Skeleton) -> nn.Module:
    """The network that a config describes, initialised with PyTorch's global generator.

    Returns:
        a module from (B, J, 2 window) normalised keypoints to (B, J, 3) metres, whose `loss_joints` are the joints that
        its training loss covers.
    Raises:
        ValueError: the root of the skeleton, to which positions are relative, is not joint 0.
    """
    if skeleton.root != 0:
        raise ValueError(f'the root of the skeleton must be joint 0, not joint {skeleton.root}')
    if config.architecture == 'linear':
        return LinearModel(len(skeleton), config.hid_dim, config.num_layers, config.dropout, config.window,
                           config.unit)
    groups = skeleton.groups if config.non_local else None
    return SemGCN(torch.from_numpy(adjacency(skeleton)), config.hid_dim, config.num_layers, config.conv, groups,
                  config.dropout, config.window, config.unit)


def infer_config(state: dict[str, Tensor]) -> ModelConfig:
    """The config that a network's tensors imply, for checkpoints that do not hold it.

    Raises:
        ValueError: no network of this project has these tensors.
    """
    try:
        if 'gconv_input.0.gconv.W' in state:
            residual = {name.split('.')[1] for name in state if name.startswith('gconv_layers.') and '.gconv1.' in name}
            _, channels, hid_dim = state['gconv_input.0.gconv.W'].shape
            conv = 'sem' if len(state['gconv_input.0.gconv.e']) == 1 else 'semch'
            return ModelConfig('gcn', hid_dim, len(residual), non_local=any('.nonlocal.' in name for name in state),
                               conv=conv, window=channels // 2)
        if 'linear_stages.0.w1.weight' in state:
            stages = {name.split('.')[1] for name in state if name.startswith('linear_stages.')}
            joints = len(state['w2.bias']) // 3 + 1
            hid_dim, channels = state['w1.weight'].shape
            return replace(default_config('linear'), hid_dim=hid_dim, num_layers=len(stages),
                           window=channels // (2 * joints))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f'its tensors do not make a network: {error}') from error
    raise ValueError('its tensors are neither SemGCN\'s nor the linear model\'s')
