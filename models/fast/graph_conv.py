"""Semantic graph convolutions in training: one softmax for all edge weights, and gradients written out.

Poses are joint-major: the sum over a joint's edges is then one matrix product for the whole batch. In shapes, R = J B.
The edge weights of a convolution are [S o I, S o (1 - I)], (J, 2 J), with S as in `models.sem_graph_conv`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.fast.dropout import dropout_mask
from models.sem_gcn import ResGraphConv
from models.sem_graph_conv import SemGraphConv


def edge_positions(conv: SemGraphConv, inverse_order: Tensor) -> Tensor:
    """(E,) index of each element of `conv.e` in the flattened edge weights, with joint j at inverse_order[j]."""
    joints, rows, columns = len(inverse_order), inverse_order[conv.rows], inverse_order[conv.columns]
    return rows * 2 * joints + columns + joints * (rows != columns)


def edge_weights_of(convs: Sequence[SemGraphConv], edges: Tensor) -> list[Tensor]:
    """Edge weights of convolutions on one graph, (J, 2 J) each.

    One batched softmax for all layers: per-layer calls cost more in overhead than in arithmetic. Every edge is in one
    half of the edge weights, so a softmax over both halves is the softmax over the edges of a joint.

    Args:
        convs: the convolutions.
        edges: (E,) from `edge_positions`.
    """
    e, joints = torch.cat([conv.e for conv in convs]), len(convs[0].identity)
    logits = e.new_full((len(e), 2 * joints ** 2), -torch.inf).index_copy(1, edges, e)
    return list(F.softmax(logits.view(-1, joints, 2 * joints), dim=2).unbind())


def transform(x: Tensor, weight: Tensor) -> Tensor:
    """[x W0; x W1], (R, C), (2, C, C') -> (2, R, C')."""
    return torch.bmm(x.expand(2, -1, -1), weight)


def graph_product(x: Tensor, weight: Tensor, edge_weights: Tensor) -> Tensor:
    """edge_weights @ [x W0; x W1]: equation 2 without its bias.

    The sum over edges is taken on the side of the product that has fewer channels.

    Args:
        x: (R, C).
        weight: (2, C, C').
        edge_weights: (J, 2 J).
    Returns:
        (R, C').
    """
    joints, rows, channels, outputs = len(edge_weights), *x.shape, weight.shape[2]
    if channels < outputs:  # the first layer
        return _sum_over_edges(x, edge_weights) @ weight.view(2 * channels, outputs)
    return (edge_weights @ transform(x, weight).view(2 * joints, rows // joints * outputs)).view(rows, outputs)


def graph_product_backward(grad: Tensor, x: Tensor, weight: Tensor, edge_weights: Tensor
                           ) -> tuple[Tensor, Tensor, Tensor]:
    """Backward of `graph_product`: gradients with respect to x, weight and edge_weights; all are contiguous.

    [x W0; x W1] is twice as large as the output, so it is not saved. The last layer computes it again, where it is
    small; the other layers do not need it.
    """
    joints, rows, channels, outputs = len(edge_weights), *x.shape, weight.shape[2]
    joint_grad = grad.view(joints, rows // joints * outputs)
    if channels < outputs:
        grad_weight = (_sum_over_edges(x, edge_weights).T @ grad).view(2, channels, outputs)
    else:
        grad_transformed = edge_weights.T @ joint_grad
        grad_weight = torch.bmm(x.T.expand(2, -1, -1), grad_transformed.view(2, rows, outputs))
    if channels > outputs:  # the last layer
        grad_edges = joint_grad @ transform(x, weight).view(2 * joints, joint_grad.shape[1]).T
        grad_x = _side_by_side(grad_transformed, outputs) @ weight.transpose(1, 2).reshape(2 * outputs, channels)
    else:
        back = transform(grad, weight.transpose(1, 2)).view(2 * joints, rows // joints * channels)
        grad_edges = (back @ x.view(joints, back.shape[1]).T).view(2, joints, joints).transpose(0, 1)
        grad_edges = grad_edges.reshape(joints, 2 * joints)
        transposed = edge_weights.view(joints, 2, joints).permute(2, 1, 0).reshape(joints, 2 * joints)
        grad_x = (transposed @ back).view(x.shape)
    return grad_x, grad_weight, grad_edges


def _sum_over_edges(x: Tensor, edge_weights: Tensor) -> Tensor:
    """[(S o I) x, (S o (1 - I)) x], (R, C) -> (R, 2 C)."""
    joints, (rows, channels) = len(edge_weights), x.shape
    both = torch.cat(edge_weights.split(joints, dim=1)) @ x.view(joints, rows // joints * channels)
    return _side_by_side(both, channels)


def _side_by_side(halves: Tensor, channels: int) -> Tensor:
    """Two (R, C), one below the other, as (R, 2 C)."""
    rows = halves.numel() // (2 * channels)
    return halves.view(2, rows, channels).transpose(0, 1).reshape(rows, 2 * channels)


class GraphProduct(torch.autograd.Function):
    """`graph_product` with its gradient written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, edge_weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, edge_weights)
        return graph_product(x, weight, edge_weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return graph_product_backward(grad.contiguous(), *ctx.saved_tensors)


def conv_blocks(x: Tensor, blocks: Sequence[Any], edge_weights: Iterator[Tensor]) -> Tensor:
    """Convolution blocks one after the other, as one autograd node.

    Args:
        x: (J, B, C).
        blocks: `GraphConv` and `ResGraphConv`.
        edge_weights: an iterator; each convolution takes its next element.
    Returns:
        (J, B, C').
    """
    chains = [[block.gconv1, block.gconv2] if isinstance(block, ResGraphConv) else [block] for block in blocks]
    return _ConvBlocks.apply(x, chains, *(tensor for chain in chains for conv in chain for tensor in (
        conv.gconv.W, next(edge_weights), conv.gconv.bias, conv.bn.weight, conv.bn.bias)))


class _ConvBlocks(torch.autograd.Function):
    """`conv_blocks` with its gradient written out: with small batches a third of the time is the overhead of calls.

    A chain of two convolutions has a residual connection around it; a chain of one has none.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, chains: list[list[Any]], *parameters: Tensor) -> Tensor:
        joints_and_poses, x = x.shape[:2], x.flatten(0, 1).contiguous()
        each, saved = zip(*[iter(parameters)] * 5, strict=True), []
        for chain in chains:
            start = x
            for conv in chain:
                weight, edge_weights, bias, scale, shift = next(each)
                bn, p = conv.bn, conv.dropout.p
                y = graph_product(x, weight, edge_weights)
                z, mean, inverse_std = torch.native_batch_norm(y, scale, shift, bn.running_mean, bn.running_var, True,
                                                               bn.momentum, bn.eps)
                bn.running_mean.add_(bias, alpha=bn.momentum)  # the bias's only effect, see `models/bias.py`
                bn.num_batches_tracked.add_(1)
                z.relu_()
                mask = dropout_mask(z, p) if p else None
                saved += [x, weight, edge_weights, y, scale, mean, inverse_std, z, mask]
                x = z if mask is None else z * mask
            x = start + x if len(chain) > 1 else x
        ctx.save_for_backward(*saved)
        ctx.chains = chains
        return x.view(*joints_and_poses, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        joints_and_poses, grad = grad.shape[:2], grad.flatten(0, 1).contiguous()
        each = zip(*[reversed(ctx.saved_tensors)] * 9, strict=True)
        gradients: list[Tensor] = []
        for chain in reversed(ctx.chains):
            outgoing = grad
            for conv in reversed(chain):
                mask, z, inverse_std, mean, scale, y, edge_weights, weight, x = next(each)
                grad = grad if mask is None else grad * mask
                grad, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
                    torch.ops.aten.threshold_backward(grad, z, 0), y, scale, None, None, mean, inverse_std, True,
                    conv.bn.eps, (True, True, True))
                grad, grad_weight, grad_edges = graph_product_backward(grad, x, weight, edge_weights)
                gradients = [grad_weight, grad_edges, torch.zeros_like(scale), grad_scale, grad_shift, *gradients]
            grad = grad.add_(outgoing) if len(chain) > 1 else grad
        return grad.view(*joints_and_poses, grad.shape[1]), None, *gradients
