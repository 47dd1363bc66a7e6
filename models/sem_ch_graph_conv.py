"""Channel-wise semantic graph convolution: a learned weighting of the edges for every output channel."""

import math

import torch
from torch import Tensor

from models.sem_graph_conv import SemGraphConv, transform


class SemCHGraphConv(SemGraphConv):
    r"""The channel-wise variant of Zhao et al., CVPR 2019 (equation 3): channel o has its own S_o.

    .. math:: Y_o = (S_o \circ I) X W_{0,o} + (S_o \circ (1 - I)) X W_{1,o} + b_o

    Arguments and shapes are those of `SemGraphConv`.
    """

    @staticmethod
    def weightings(out_features: int) -> int:
        return out_features

    def bias_bound(self) -> float:
        return 1 / math.sqrt(self.W.shape[1])

    @staticmethod
    def mixing_of(weightings: Tensor) -> Tensor:
        """[S_o o I, S_o o (1 - I)] of every output channel, (C', J, 2 J)."""
        return weightings

    @staticmethod
    def product(x: Tensor, weight: Tensor, mixing: Tensor) -> Tensor:
        """As `SemGraphConv.product`, channel o of [x W0; x W1] mixed by S_o; mixing is (C', J, 2 J)."""
        joints, batch, _ = x.shape
        own, others = transform(x.flatten(0, 1), weight).unflatten(1, (joints, batch))   # (J, B, C')
        to_own, between = mixing.split(joints, dim=2)
        diagonal = to_own.diagonal(dim1=1, dim2=2)                                     # (C', J)
        return diagonal.T.unsqueeze(1) * own + torch.einsum('cij,jbc->ibc', between, others)
