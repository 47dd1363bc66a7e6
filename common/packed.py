"""An optimizer that takes a network's small parameters as one tensor.

SemGCN has 49 parameters; to clip and to update each by itself costs more in calls than in arithmetic, 8 percent of a
step of 64 poses. Large ones stay by themselves: to copy their gradients would cost more than it saves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

SMALL = 1 << 16  # numbers in a parameter


class PackedOptimizer:
    """One of PyTorch's optimizers over packed parameters, with the face and the state dict of one over each by itself.

    The small parameters become views of one tensor, so it has to be made after the network was put on its device.

    Args:
        kind: class of PyTorch's optimizer.
        parameters: of the network; each gets a gradient in every step.
        options: of the optimizer.

    Attributes:
        param_groups: as PyTorch's; the learning rate may be set there.
    """

    def __init__(self, kind: type[torch.optim.Optimizer], parameters: Iterable[nn.Parameter], **options: Any) -> None:
        self._parameters = list(parameters)
        self._small = [parameter for parameter in self._parameters if parameter.numel() < SMALL]
        self._sizes = [parameter.numel() for parameter in self._small]
        self._pack = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in self._small]))
        for parameter, part in zip(self._small, self._pack.detach().split(self._sizes), strict=True):
            parameter.data = part.view_as(parameter)
        self._tensors = [*(parameter for parameter in self._parameters if parameter.numel() >= SMALL), self._pack]
        self._inner = kind(self._tensors, **options)
        self.param_groups: list[dict[str, Any]] = [{**self._inner.param_groups[0], 'params': self._parameters}]

    def zero_grad(self) -> None:
        for parameter in (*self._parameters, self._pack):
            parameter.grad = None

    def step(self, max_norm: float) -> Tensor:
        """Clip the gradient to a norm and go a step along it; gives the norm that it had."""
        self._pack.grad = torch.cat([parameter.grad.flatten() for parameter in self._small])  # type: ignore[union-attr]
        norm = nn.utils.clip_grad_norm_(self._tensors, max_norm)
        self._inner.param_groups[0]['lr'] = self.param_groups[0]['lr']
        self._inner.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """As that of PyTorch's optimizer over the parameters one by one."""
        group = {**self.param_groups[0], 'params': list(range(len(self._parameters)))}
        packed = [self._inner.state[tensor] for tensor in self._tensors]
        moments = {name: self._unpack([state[name] for state in packed]) for name in packed[-1]}
        state = [{name: values[index] for name, values in moments.items()} for index in group['params']]
        return {'state': dict(enumerate(state)) if moments else {}, 'param_groups': [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of such an optimizer; its options stay as they are."""
        each = [state_dict['state'].get(index, {}) for index in range(len(self._parameters))]
        moments = {name: self._packed([state[name] for state in each]) for name in each[0]}
        state = [{name: values[index] for name, values in moments.items()} for index in range(len(self._tensors))]
        self._inner.load_state_dict({'state': dict(enumerate(state)) if moments else {},
                                     'param_groups': self._inner.state_dict()['param_groups']})

    def _unpack(self, values: Sequence[Tensor]) -> list[Tensor]:
        """What each parameter has of what the packed tensors have; of a number of steps each has its own."""
        *large, pack = values
        parts = pack.split(self._sizes) if pack.ndim else [pack.clone() for _ in self._sizes]
        these, those = iter(large), iter(parts)
        return [next(those).view(parameter.shape if pack.ndim else ()) if parameter.numel() < SMALL else next(these)
                for parameter in self._parameters]

    def _packed(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The other way round."""
        pairs = list(zip(self._parameters, values, strict=True))
        large = [value for parameter, value in pairs if parameter.numel() >= SMALL]
        small = [value for parameter, value in pairs if parameter.numel() < SMALL]
        return [*large, torch.cat([value.flatten() for value in small]) if small[0].ndim else small[0]]
