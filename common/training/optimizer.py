"""Adam and AdamW in one fused pass over all parameters.

The arithmetic is PyTorch's. Its optimizer classes are not used, because their first instance imports all of
`torch._dynamo`: 70 MB and more than a second at the start of every training.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw

OPTIMIZERS = {'adam': adam, 'adamw': adamw}


class FusedAdam:
    """Adam (Kingma and Ba, ICLR 2015) or AdamW (Loshchilov and Hutter, ICLR 2019), with clipping of the gradient.

    Args:
        parameters: each must have a gradient in every step.
        lr: the learning rate; a tensor on the device if a CUDA graph replays the step.
        weight_decay: 'adam' adds it to the gradient, 'adamw' applies it to the weights.
        kind: a name in `OPTIMIZERS`.
    Attributes:
        param_groups: in the layout of PyTorch's optimizers.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float | Tensor = 1e-3, weight_decay: float = 0.0,
                 kind: str = 'adam') -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.update = OPTIMIZERS[kind]
        self.state: dict[str, list[Tensor]] = {}  # from the first step on
        self.param_groups: list[dict[str, Any]] = [{
            'params': self.parameters, 'lr': lr, 'betas': (0.9, 0.999), 'eps': 1e-8, 'weight_decay': weight_decay,
            'amsgrad': False, 'maximize': False, 'foreach': None, 'capturable': self.parameters[0].is_cuda,
            'differentiable': False, 'fused': True, 'decoupled_weight_decay': kind == 'adamw'}]

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, max_norm: float) -> Tensor:
        """Clip the gradient to a norm and take a step. Returns the norm before clipping, a scalar."""
        gradients: list[Tensor] = [parameter.grad for parameter in self.parameters]  # type: ignore[misc]
        # PyTorch's clip_grad_norm_ also multiplies when the factor is one
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if norm.is_cuda or not norm + 1e-6 <= max_norm:  # a comparison would wait for a GPU
            torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
        if not self.state:
            self.state = {'step': [torch.zeros((), device=parameter.device) for parameter in self.parameters],
                          'exp_avg': [torch.zeros_like(parameter) for parameter in self.parameters],
                          'exp_avg_sq': [torch.zeros_like(parameter) for parameter in self.parameters]}
        (group,), state = self.param_groups, self.state
        beta1, beta2 = group['betas']
        self.update(self.parameters, gradients, state['exp_avg'], state['exp_avg_sq'], [], state['step'], fused=True,
                    capturable=group['capturable'], amsgrad=False, beta1=beta1, beta2=beta2, lr=group['lr'],
                    weight_decay=group['weight_decay'], eps=group['eps'], maximize=False)
        return norm

    @property
    def learning_rate(self) -> float:
        return float(self.param_groups[0]['lr'])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        lr = self.param_groups[0]['lr']
        if isinstance(lr, Tensor):
            lr.fill_(rate)
        else:
            self.param_groups[0]['lr'] = rate

    def state_dict(self) -> dict[str, Any]:
        """State in the layout of PyTorch's optimizers, the learning rate a number."""
        group = {**self.param_groups[0], 'params': list(range(len(self.parameters))), 'lr': self.learning_rate}
        state = {index: {name: values[index] for name, values in self.state.items()} for index in group['params']}
        return {'state': state if self.state else {}, 'param_groups': [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take moments and learning rate from a state of PyTorch's layout; the other options stay as they are."""
        self.learning_rate = float(state_dict['param_groups'][0]['lr'])
        states = [state_dict['state'].get(index, {}) for index in range(len(self.parameters))]
        self.state = {name: [state[name].to(parameter.device, copy=True)
                             for state, parameter in zip(states, self.parameters, strict=True)] for name in states[0]}
