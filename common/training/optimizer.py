"""Adam that takes a network's small parameters as one tensor.

SemGCN has 49 parameters; to clip and to update each by itself costs more in calls than in arithmetic, 8 percent of a
step of 64 poses. Large ones stay by themselves: to copy their gradients would cost more than it saves.

The arithmetic is PyTorch's fused pass. Its classes are not used: the first of them that is made imports all of
`torch._dynamo`, which takes 70 MB and more than a second of every training's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw

SMALL = 1 << 16  # numbers in a parameter


class PackedAdam:
    """Adam or AdamW over packed parameters, with the state dict of PyTorch's over each by itself.

    The small parameters become views of one tensor, so it has to be made after the network was put on its device.

    Args:
        parameters: of the network; each gets a gradient in every step.
        lr: the learning rate; a tensor on the device where a captured step is to see it change.
        weight_decay: of Adam part of the gradient, of AdamW (`decoupled`) apart from it.

    Attributes:
        param_groups: as PyTorch's; the learning rate may be set there.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float | Tensor = 1e-3, weight_decay: float = 0.0,
                 decoupled: bool = False) -> None:
        self._parameters = list(parameters)
        self._small = [parameter for parameter in self._parameters if parameter.numel() < SMALL]
        self._sizes = [parameter.numel() for parameter in self._small]
        self._pack = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in self._small]))
        self._pack.grad = torch.empty_like(self._pack)  # kept: to be given its pages anew costs 3 percent of a step
        for parameter, part in zip(self._small, self._pack.detach().split(self._sizes), strict=True):
            parameter.data = part.view_as(parameter)
        large = [parameter for parameter in self._parameters if parameter.numel() >= SMALL]
        self._tensors: list[Tensor] = [*large, self._pack]
        self._moments: dict[str, list[Tensor]] = {}  # from the first step on
        self.param_groups: list[dict[str, Any]] = [{
            'params': self._parameters, 'lr': lr, 'betas': (0.9, 0.999), 'eps': 1e-8, 'weight_decay': weight_decay,
            'amsgrad': False, 'maximize': False, 'foreach': None, 'capturable': self._pack.is_cuda,
            'differentiable': False, 'fused': True, 'decoupled_weight_decay': decoupled}]

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, max_norm: float) -> Tensor:
        """Clip the gradient to a norm and go a step along it; gives the norm that it had."""
        torch.cat([parameter.grad.flatten() for parameter in self._small], out=self._pack.grad)  # type: ignore[union-attr]
        gradients: list[Tensor] = [tensor.grad for tensor in self._tensors]  # type: ignore[misc]
        # PyTorch's clip_grad_norm_, which comes in two halves only since 2.6, and would multiply by one too
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if norm.is_cuda or not norm + 1e-6 <= max_norm:  # a look would wait for a GPU
            torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
        if not self._moments:
            self._moments = {'step': [torch.zeros((), device=tensor.device) for tensor in self._tensors],
                             'exp_avg': [torch.zeros_like(tensor) for tensor in self._tensors],
                             'exp_avg_sq': [torch.zeros_like(tensor) for tensor in self._tensors]}
        (group,), moments = self.param_groups, self._moments
        update = adamw if group['decoupled_weight_decay'] else adam
        beta1, beta2 = group['betas']
        update(self._tensors, gradients, moments['exp_avg'], moments['exp_avg_sq'], [], moments['step'], fused=True,
               capturable=group['capturable'], amsgrad=False, beta1=beta1, beta2=beta2, lr=group['lr'],
               weight_decay=group['weight_decay'], eps=group['eps'], maximize=False)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """As that of PyTorch's optimizer over the parameters one by one."""
        group = {**self.param_groups[0], 'params': list(range(len(self._parameters)))}
        moments = {name: self._unpack(values) for name, values in self._moments.items()}
        state = [{name: values[index] for name, values in moments.items()} for index in group['params']]
        return {'state': dict(enumerate(state)) if moments else {}, 'param_groups': [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of such an optimizer; its options stay as they are."""
        each = [state_dict['state'].get(index, {}) for index in range(len(self._parameters))]
        self._moments = {name: [value.to(self._pack.device, copy=True)
                                for value in self._packed([state[name] for state in each])]
                         for name in each[0]}

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
