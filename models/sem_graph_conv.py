"""Semantic graph convolution: one learned weighting of the skeleton's edges for all channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

XAVIER_GAIN = 1.414


class SemGraphConv(nn.Module):
    r"""The semantic graph convolution of Zhao et al., CVPR 2019 (equation 2).

    .. math:: Y = (S \circ I) X W_0 + (S \circ (1 - I)) X W_1 + b

    S is the row softmax of the learned weights `e` where the skeleton has an edge (or a self-loop), zero elsewhere.
    Poses are joint-major inside the networks: to mix joints is then one matrix product for the whole batch.

    Args:
        in_features, out_features: channels of a joint before and after.
        adjacency: (J, J); only where it is not zero matters.
        order: the joint that lies at each place of x; None for the order of `adjacency`.
    Shapes:
        (J, B, in_features) -> (J, B, out_features).
    """

    edges: Tensor

    def __init__(self, in_features: int, out_features: int, adjacency: Tensor,
                 order: Sequence[int] | None = None) -> None:
        super().__init__()
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1] or not (adjacency.diagonal() != 0).all():
            raise ValueError(f'the adjacency must be square with self-loops, not {tuple(adjacency.shape)}')
        self.joints = len(adjacency)
        # `e` goes by the non-zero places of the adjacency, row by row, in every published file; here is where each
        # lies in the flattened S. Constants are buffers that files lack and need not have.
        place = {joint: index for index, joint in enumerate(range(self.joints) if order is None else order)}
        edges = [place[row] * self.joints + place[column] for row, column in adjacency.nonzero().tolist()]
        self.register_buffer('edges', torch.tensor(edges), persistent=False)
        self.W = nn.Parameter(torch.empty(2, in_features, out_features))
        self.e = nn.Parameter(torch.empty(self.weightings(out_features), len(edges)))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.reset_parameters()

    @staticmethod
    def weightings(out_features: int) -> int:
        """How many weightings of the edges are learned."""
        return 1

    def bias_bound(self) -> float:
        return 1 / math.sqrt(self.W.shape[2])

    def reset_parameters(self) -> None:
        """Initialise as published: Xavier's fans are those of a 3-D tensor, so its bound is small; e is ones."""
        nn.init.xavier_uniform_(self.W, gain=XAVIER_GAIN)
        nn.init.ones_(self.e)
        bound = self.bias_bound()
        nn.init.uniform_(self.bias, -bound, bound)

    def edge_weights(self) -> Tensor:
        """S: one (J, J) row-stochastic matrix a weighting, (weightings, J, J)."""
        logits = self.e.new_full((len(self.e), self.joints ** 2), -torch.inf).index_copy(1, self.edges, self.e)
        return F.softmax(logits.view(-1, self.joints, self.joints), dim=2)

    def mixing(self) -> Tensor:
        """[S o I, S o (1 - I)], (J, 2 J): how the joints of [X W0; X W1] are mixed."""
        weights = self.edge_weights()[0]
        own = weights.diagonal().diag()
        return torch.cat([own, weights - own], dim=1)

    @staticmethod
    def product(x: Tensor, weight: Tensor, mixing: Tensor) -> Tensor:
        """mixing @ [x W0; x W1]: the two products of a graph convolution and the sum over its edges.

        Args:
            x: (J, B, C).
            weight: (2, C, C').
            mixing: (J, 2 J), of `mixing`.
        Returns:
            (J, B, C').
        """
        joints, batch, channels = x.shape
        if channels < weight.shape[2]:  # mix while there are fewer channels: the first layer
            both = torch.cat(mixing.split(joints, dim=1)) @ x.reshape(joints, -1)      # (2 J, B C)
            both = both.view(2, joints, batch, channels)
            return torch.cat([both[0], both[1]], dim=2) @ weight.view(2 * channels, -1)
        if torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type):
            return _MixedProduct.apply(x, weight, mixing)
        return (mixing @ transform(x, weight).view(2 * joints, -1)).view(joints, batch, -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, self.W, self.mixing()) + self.bias

    def extra_repr(self) -> str:
        return f'{self.W.shape[1]}, {self.W.shape[2]}'


def transform(x: Tensor, weight: Tensor) -> Tensor:
    """[x W0; x W1] as (2, J B, C')."""
    return torch.bmm(x.reshape(1, -1, x.shape[2]).expand(2, -1, -1), weight)


class _MixedProduct(torch.autograd.Function):
    """The product with its gradient written out: every intermediate is written once, in the layout of its next use."""

    @staticmethod
    def forward(ctx, x, weight, mixing):
        joints, batch, channels = x.shape
        both = transform(x, weight)
        ctx.save_for_backward(x.reshape(-1, channels), weight, mixing, both)
        return (mixing @ both.view(2 * joints, -1)).view(joints, batch, weight.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight, mixing, both = ctx.saved_tensors
        joints, batch, _ = grad.shape
        grad = grad.reshape(joints, -1)
        grad_mixing = (both.view(2 * joints, -1) @ grad.T).T  # twice as fast as the other way round
        grad_both = (mixing.T @ grad).view_as(both)
        grad_weight = torch.empty_like(weight)
        for side in (0, 1):
            torch.mm(x.T, grad_both[side], out=grad_weight[side])
        grad_x = (grad_both[0] @ weight[0].T).addmm_(grad_both[1], weight[1].T)
        return grad_x.view(joints, batch, x.shape[1]), grad_weight, grad_mixing
