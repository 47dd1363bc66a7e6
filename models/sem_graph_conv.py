"""Semantic graph convolution: one learned weighting of the skeleton's edges for all channels."""

import math

import torch
from torch import Tensor, nn
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
    Shapes:
        (J, B, in_features) -> (J, B, out_features).
    """

    def __init__(self, in_features: int, out_features: int, adjacency: Tensor) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(2, in_features, out_features))
        self.register_edges(adjacency)
        self.e = nn.Parameter(torch.empty(self.weightings(out_features), self.edges.numel()))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.reset_parameters()

    def register_edges(self, adjacency: Tensor) -> None:
        """Keep where the edges are, as constants that published files lack and need not have."""
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1] or not (adjacency.diagonal() != 0).all():
            raise ValueError(f'the adjacency must be square with self-loops, not {tuple(adjacency.shape)}')
        self.joints = len(adjacency)
        # row-major order over the non-zero places: the order of `e` in every published file
        self.register_buffer('edges', adjacency.flatten().nonzero().squeeze(1), persistent=False)
        self.register_buffer('eye', torch.eye(self.joints), persistent=False)
        self.edges: Tensor
        self.eye: Tensor

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

    def forward(self, x: Tensor) -> Tensor:
        joints, batch, channels = x.shape
        weights = self.edge_weights()[0]
        own = weights * self.eye
        # The joints are mixed where there are fewer channels to mix: before the weights or after them.
        if channels < self.W.shape[2]:
            mixed = torch.cat([own, weights - own]) @ x.reshape(joints, -1)            # (2J, B C)
            mixed = mixed.view(2, joints * batch, channels)
            out = torch.addmm(torch.addmm(self.bias, mixed[0], self.W[0]), mixed[1], self.W[1])
            return out.view(joints, batch, -1)
        transformed = torch.matmul(x.reshape(1, joints * batch, channels), self.W)     # (2, J B, C')
        mixed = torch.cat([own, weights - own], dim=1) @ transformed.view(2 * joints, -1)
        return mixed.view(joints, batch, -1) + self.bias

    def extra_repr(self) -> str:
        return f'{self.W.shape[1]}, {self.W.shape[2]}'
