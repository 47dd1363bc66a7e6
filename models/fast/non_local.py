"""Non-local blocks over pairs of joints in training: gradients written out, fewer tensors as large as the batch.

Poses are joint-major. The pairs come first, their joints side by side (0 and 1, 2 and 3, ...). Joints that are a
group of their own follow.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.bias import bias_before
from models.graph_non_local import GraphNonLocal


def non_local(block: GraphNonLocal, x: Tensor, pairs: int) -> Tensor:
    """`models.graph_non_local.GraphNonLocal.forward` with this number of pairs, (J, B, C) -> (J, B, C)."""
    project, norm = getattr(block, 'nonlocal')['W']
    gathered = _PooledAttention.apply(*attention_inputs(x, *attention_weights(block)), pairs)  # (B, J, C/2)
    update = F.linear(gathered.flatten(0, 1), project.weight.squeeze(2), bias_before(norm, project.bias))
    return x + norm(update).unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)


def attention_weights(block: GraphNonLocal) -> tuple[Tensor, ...]:
    """The parameters of a block that its attention needs.

    The convolution theta is used only through its product with w, so both are one vector.

    Returns:
        [W_g; W_phi] (C, C) and its bias (C,), w_theta W_theta (C,) and w_theta b_theta (), w_phi (C/2,).
    """
    parts = getattr(block, 'nonlocal')
    g, theta, phi = parts['g'][0], parts['theta'], parts['phi'][0]
    w_theta, w_phi = parts['concat_project'][0].weight.view(2, block.inner)
    return (torch.cat([g.weight, phi.weight]).squeeze(2), torch.cat([g.bias, phi.bias]),
            w_theta @ theta.weight.squeeze(2), w_theta @ theta.bias, w_phi)


def attention_inputs(x: Tensor, weight: Tensor, bias: Tensor, query_weight: Tensor, query_bias: Tensor, w_phi: Tensor
                     ) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments of `pooled_attention` from x, (J, B, C), and `attention_weights`."""
    return F.linear(x, weight, bias), x @ query_weight + query_bias, w_phi


def pooled_attention(both: Tensor, query: Tensor, w_phi: Tensor, pairs: int) -> tuple[Tensor, ...]:
    """sum_p ReLU(query_j + w_phi . phi_p) / P g_p, with g and phi max-pooled over each group of joints.

    Args:
        both: [g, phi] of every joint, (J, B, C).
        query: w_theta . theta of every joint, (J, B).
        w_phi: (C/2,).
        pairs: how many groups are pairs.
    Returns:
        the sum (B, J, C/2), and for the backward pass [g, phi] of groups (P, B, C), of first and of second joints
        of pairs (pairs, B, C), and the attention (B, J, P).
    """
    first, second = both[:2 * pairs].unflatten(0, (pairs, 2)).unbind(1)                # (pairs, B, [g, phi])
    pooled = torch.maximum(first, second)
    if 2 * pairs < len(both):
        pooled = torch.cat([pooled, both[2 * pairs:]])                                 # (P, B, [g, phi])
    g, phi = pooled.chunk(2, dim=2)
    key = phi @ w_phi                                                                  # (P, B)
    # Contiguous: a sum of broadcast transposed tensors would keep their strides, and bmm would copy pose by pose.
    query, key = query.T.contiguous(), key.T.contiguous()
    attention = (query.unsqueeze(2) + key.unsqueeze(1)).relu_() / key.shape[1]         # (B, J, P)
    return torch.bmm(attention, g.transpose(0, 1)), pooled, first, second, attention


class _PooledAttention(torch.autograd.Function):
    """`pooled_attention` with its gradient written out.

    Autograd would keep several tensors of the size of `both` to pool them; here one mask is enough.
    """

    @staticmethod
    def forward(ctx: Any, both: Tensor, query: Tensor, w_phi: Tensor, pairs: int) -> Tensor:
        gathered, pooled, first, second, attention = pooled_attention(both, query, w_phi, pairs)
        ctx.save_for_backward(pooled, first >= second, attention, w_phi)
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        pooled, from_first, attention, w_phi = ctx.saved_tensors
        g, phi = pooled.chunk(2, dim=2)
        grad = grad.contiguous()
        grad_score = torch.bmm(grad, g.permute(1, 2, 0)) * (attention > 0) / len(pooled)  # (B, J, P)
        grad_query, grad_key = grad_score.sum(2).T, grad_score.sum(1).T
        grad_pooled = torch.empty_like(pooled)
        grad_g, grad_phi = grad_pooled.chunk(2, dim=2)
        grad_g.copy_(torch.bmm(attention.transpose(1, 2), grad).transpose(0, 1))
        torch.mul(grad_key.unsqueeze(2), w_phi, out=grad_phi)
        pairs = len(from_first)
        grad_both = pooled.new_empty(pairs + len(pooled), *pooled.shape[1:])
        grad_first, grad_second = grad_both[:2 * pairs].unflatten(0, (pairs, 2)).unbind(1)
        torch.mul(grad_pooled[:pairs], from_first, out=grad_first)
        torch.sub(grad_pooled[:pairs], grad_first, out=grad_second)
        grad_both[2 * pairs:] = grad_pooled[pairs:]
        grad_w_phi = grad_key.reshape(1, -1) @ phi.flatten(0, 1)
        return grad_both, grad_query, grad_w_phi.view(-1), None
