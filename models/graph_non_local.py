"""Non-local block on the skeleton: every joint looks at every pair of joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.bias import bias_before


class GraphNonLocal(nn.Module):
    r"""The non-local layer of Zhao et al., CVPR 2019 (equation 4), concatenation form, over pooled pairs of joints.

    .. math:: Y_j = X_j + BN(W_y \tfrac1P \sum_p ReLU(w \cdot [\theta_j; \phi_p]) \, g_p)

    g and phi are max-pooled over each of the P pairs. The dot product with the concatenated [theta; phi] is the sum of
    two dot products, so no (B, 2C, J, P) tensor is built; and theta is only ever used through its dot product, so its
    convolution and that product are one vector.

    Args:
        channels: C of every joint.
    Shapes:
        (J, B, C) -> (J, B, C); joints that are pooled together are neighbours: 0 and 1, 2 and 3, ...
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f'a non-local block halves its channels: {channels} is odd')
        self.inner = channels // 2
        # The containers carry the names of the published files; `nonlocal` is a keyword, so it is added by name.
        self.add_module('nonlocal', nn.ModuleDict({
            'g': nn.Sequential(nn.Conv1d(channels, self.inner, 1)),
            'theta': nn.Conv1d(channels, self.inner, 1),
            'phi': nn.Sequential(nn.Conv1d(channels, self.inner, 1)),
            'concat_project': nn.Sequential(nn.Conv2d(2 * self.inner, 1, 1, bias=False)),
            'W': nn.Sequential(nn.Conv1d(self.inner, channels, 1), nn.BatchNorm1d(channels)),
        }))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights and zero biases; the last batch norm is zero, so the block starts as the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm1d):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)

    def look(self) -> tuple[Tensor, ...]:
        """What `attend` takes beside x: [W_g; W_phi] (C, C), its bias, w theta (C,), its bias, and w for phi (C/2,)."""
        parts = getattr(self, 'nonlocal')
        g, theta, phi = parts['g'][0], parts['theta'], parts['phi'][0]
        to_joint, to_pair = parts['concat_project'][0].weight.view(2, self.inner)
        return (torch.cat([g.weight, phi.weight]).squeeze(2), torch.cat([g.bias, phi.bias]),
                to_joint @ theta.weight.squeeze(2), to_joint @ theta.bias, to_pair)

    def forward(self, x: Tensor) -> Tensor:
        project, norm = getattr(self, 'nonlocal')['W']
        gathered = attend(x, *self.look())                                             # (B, J, C/2)
        update = F.linear(gathered.flatten(0, 1), project.weight.squeeze(2), bias_before(norm, project.bias))
        return x + norm(update).unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)


def attend(x: Tensor, weight: Tensor, bias: Tensor, query: Tensor, query_bias: Tensor, to_pair: Tensor) -> Tensor:
    """(J, B, C) -> (B, J, C/2): the sum over pairs, before the last convolution; arguments as `GraphNonLocal.look`."""
    both = F.linear(x, weight, bias)                                                   # (J, B, [g, phi])
    query = x @ query + query_bias                                                     # (J, B)
    if torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type):
        return _PooledAttention.apply(both, query, to_pair)
    return _pooled_attention(both, query, to_pair)[0]


def _pooled_attention(both, query, to_pair):
    first, second = both.unflatten(0, (-1, 2)).unbind(1)                               # (P, B, [g, phi])
    pooled = torch.maximum(first, second)
    g, phi = pooled.chunk(2, dim=2)
    key = phi @ to_pair                                                                # (P, B)
    # contiguous: a sum of broadcast transpositions would keep their strides, with which bmm goes pose by pose
    query, key = query.T.contiguous(), key.T.contiguous()
    attention = (query.unsqueeze(2) + key.unsqueeze(1)).relu_() / key.shape[1]         # (B, J, P)
    return torch.bmm(attention, g.transpose(0, 1)), pooled, first, second, attention


class _PooledAttention(torch.autograd.Function):
    """sum_p ReLU(query_j + to_pair . phi_p) / P g_p, of g and phi max-pooled over neighbours, its gradient written out.

    Autograd would keep and pass over several tensors of the size of `both` to pool them; here it is one mask.
    """

    @staticmethod
    def forward(ctx, both, query, to_pair):
        gathered, pooled, first, second, attention = _pooled_attention(both, query, to_pair)
        ctx.save_for_backward(pooled, first >= second, attention, to_pair)
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        pooled, from_first, attention, to_pair = ctx.saved_tensors
        g, phi = pooled.chunk(2, dim=2)
        grad = grad.contiguous()
        grad_score = torch.bmm(grad, g.permute(1, 2, 0)) * (attention > 0) / len(pooled)  # (B, J, P)
        grad_query, grad_key = grad_score.sum(2).T, grad_score.sum(1).T
        grad_pooled = torch.empty_like(pooled)
        grad_g, grad_phi = grad_pooled.chunk(2, dim=2)
        grad_g.copy_(torch.bmm(attention.transpose(1, 2), grad).transpose(0, 1))
        torch.mul(grad_key.unsqueeze(2), to_pair, out=grad_phi)
        grad_both = pooled.new_empty(len(pooled), 2, *pooled.shape[1:])
        torch.mul(grad_pooled, from_first, out=grad_both[:, 0])
        torch.sub(grad_pooled, grad_both[:, 0], out=grad_both[:, 1])
        grad_to_pair = grad_key.reshape(1, -1) @ phi.flatten(0, 1)
        return grad_both.flatten(0, 1), grad_query, grad_to_pair.view(-1)
