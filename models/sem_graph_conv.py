"""Semantic graph convolution: the skeleton's edges have learned weights, shared by all channels."""

import math

import torch
from torch import Tensor, nn

XAVIER_GAIN = 1.414


class SemGraphConv(nn.Module):
    r"""The semantic graph convolution of Zhao et al., CVPR 2019 (equation 2).

    .. math:: Y = (S \circ I) X W_0 + (S \circ (1 - I)) X W_1 + b

    A joint is transformed by :math:`W_0` and its neighbours by :math:`W_1`. S is the softmax of the learned `e` over
    the edges of each joint, its self-loop included; it is zero where the skeleton has no edge.

    Args:
        in_features: channels of a joint, C.
        out_features: channels of a joint after the layer, C'.
        adjacency: (J, J) with self-loops; only its pattern of non-zero entries is used.
        edge_sets: number of sets of edge weights; subclasses have more than one.
    Shapes:
        (B, J, C) -> (B, J, C').
    Raises:
        ValueError: the adjacency is not square or lacks a self-loop, or a layer would have no channels.
    """

    identity: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, in_features: int, out_features: int, adjacency: Tensor, edge_sets: int = 1) -> None:
        super().__init__()
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1] or not (adjacency.diagonal() != 0).all():
            raise ValueError(f'the adjacency must be square with self-loops, not {tuple(adjacency.shape)}')
        if in_features < 1 or out_features < 1:
            raise ValueError(f'a layer needs channels, not {in_features} and {out_features}')
        self.in_features, self.out_features = in_features, out_features
        rows, columns = adjacency.nonzero(as_tuple=True)  # row by row: the order of `e` in published files
        # Constants are buffers, which checkpoints do not hold.
        self.register_buffer('rows', rows, persistent=False)
        self.register_buffer('columns', columns, persistent=False)
        self.register_buffer('identity', torch.eye(len(adjacency)), persistent=False)
        self.W = nn.Parameter(torch.empty(2, in_features, out_features))
        self.e = nn.Parameter(torch.empty(edge_sets, len(rows)))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as published: Xavier's fans are computed from the 3-D tensor W, so its bound is small."""
        nn.init.xavier_uniform_(self.W, gain=XAVIER_GAIN)
        nn.init.ones_(self.e)
        bound = 1 / math.sqrt(self.out_features)
        nn.init.uniform_(self.bias, -bound, bound)

    def edge_weights(self) -> Tensor:
        """S: the softmax of `e` over the edges of each joint, zero without an edge, (edge_sets, J, J)."""
        logits = self.e.new_full((len(self.e), *self.identity.shape), -torch.inf)
        logits[:, self.rows, self.columns] = self.e
        return logits.softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        own, others = x @ self.W[0], x @ self.W[1]                                     # (B, J, C')
        S = self.edge_weights()                                                        # (1, J, J)
        return (S * self.identity) @ own + (S * (1 - self.identity)) @ others + self.bias

    def extra_repr(self) -> str:
        return f'{self.in_features}, {self.out_features}'
