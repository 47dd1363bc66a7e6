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
        # lies in the flattened mixing. Constants are buffers that files lack and need not have.
        place = {joint: index for index, joint in enumerate(range(self.joints) if order is None else order)}
        edges = [place[row] * 2 * self.joints + place[column] + (0 if row == column else self.joints)
                 for row, column in adjacency.nonzero().tolist()]
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

    def mixing(self) -> Tensor:
        """[S o I, S o (1 - I)], how the joints of [X W0; X W1] are mixed, (J, 2 J)."""
        return mixings_of([self])[0]

    @staticmethod
    def mixing_of(weightings: Tensor) -> Tensor:
        """`mixing` from that of every weighting, (weightings, J, 2 J)."""
        return weightings.squeeze(0)

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
        written_out = torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type)
        rows = (_MixedProduct.apply if written_out else mixed_product)(x.flatten(0, 1), weight, mixing)
        return rows.view(*x.shape[:2], weight.shape[2])

    def forward(self, x: Tensor, mixing: Tensor | None = None) -> Tensor:
        """`mixing` where it is at hand."""
        return self.product(x, self.W, self.mixing() if mixing is None else mixing) + self.bias

    def extra_repr(self) -> str:
        return f'{self.W.shape[1]}, {self.W.shape[2]}'


def mixings_of(convs: Sequence[SemGraphConv]) -> list[Tensor]:
    """`mixing` of convolutions on one graph, all at once: each by itself takes longer to call than to reckon.

    Each edge has its place in one half of a mixing, so a softmax over both halves is that over the edges of a joint.
    """
    e, joints = torch.cat([conv.e for conv in convs]), convs[0].joints
    logits = e.new_full((len(e), 2 * joints ** 2), -torch.inf).index_copy(1, convs[0].edges, e)
    parts = F.softmax(logits.view(-1, joints, 2 * joints), dim=2).split([len(conv.e) for conv in convs])
    return [conv.mixing_of(part) for conv, part in zip(convs, parts, strict=True)]


def transform(x: Tensor, weight: Tensor) -> Tensor:
    """[x W0; x W1], for the joints of all poses: (J B, C), (2, C, C') -> (2, J B, C')."""
    return torch.bmm(x.expand(2, -1, -1), weight)


def mixed_product(x: Tensor, weight: Tensor, mixing: Tensor) -> Tensor:
    """As `SemGraphConv.product`, (J B, C) -> (J B, C'); joints are mixed where they have fewer channels."""
    joints, rows, channels, outputs = len(mixing), *x.shape, weight.shape[2]
    if channels < outputs:  # the first layer
        return _mixed(x, mixing) @ weight.view(2 * channels, outputs)
    return (mixing @ transform(x, weight).view(2 * joints, rows // joints * outputs)).view(rows, outputs)


def mixed_product_gradients(grad: Tensor, x: Tensor, weight: Tensor, mixing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Those of x, weight and mixing, from that of their `mixed_product`; all contiguous.

    [x W0; x W1], twice as large as the output, is needed only where it is small; so a step need not keep it.
    """
    joints, rows, channels, outputs = len(mixing), *x.shape, weight.shape[2]
    of_joint = grad.view(joints, rows // joints * outputs)
    if channels < outputs:
        grad_weight = (_mixed(x, mixing).T @ grad).view(2, channels, outputs)
    else:
        unmixed = mixing.T @ of_joint
        grad_weight = torch.bmm(x.T.expand(2, -1, -1), unmixed.view(2, rows, outputs))
    if channels > outputs:  # the last layer
        grad_mixing = of_joint @ transform(x, weight).view(2 * joints, of_joint.shape[1]).T
        grad_x = _side_by_side(unmixed, outputs) @ weight.transpose(1, 2).reshape(2 * outputs, channels)
    else:
        back = transform(grad, weight.transpose(1, 2)).view(2 * joints, rows // joints * channels)
        grad_mixing = (back @ x.view(joints, back.shape[1]).T).view(2, joints, joints).transpose(0, 1)
        grad_mixing = grad_mixing.reshape(joints, 2 * joints)
        grad_x = (mixing.view(joints, 2, joints).permute(2, 1, 0).reshape(joints, 2 * joints) @ back).view(x.shape)
    return grad_x, grad_weight, grad_mixing


def _mixed(x: Tensor, mixing: Tensor) -> Tensor:
    """[(S o I) x, (S o (1 - I)) x], (J B, 2 C)."""
    joints, (rows, channels) = len(mixing), x.shape
    both = torch.cat(mixing.split(joints, dim=1)) @ x.view(joints, rows // joints * channels)
    return _side_by_side(both, channels)


def _side_by_side(halves: Tensor, channels: int) -> Tensor:
    """Two (J B, C), one below the other, as (J B, 2 C)."""
    rows = halves.numel() // (2 * channels)
    return halves.view(2, rows, channels).transpose(0, 1).reshape(rows, 2 * channels)


class _MixedProduct(torch.autograd.Function):
    """`mixed_product` with its gradient written out."""

    @staticmethod
    def forward(ctx, x, weight, mixing):
        ctx.save_for_backward(x, weight, mixing)
        return mixed_product(x, weight, mixing)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return mixed_product_gradients(grad.contiguous(), *ctx.saved_tensors)
