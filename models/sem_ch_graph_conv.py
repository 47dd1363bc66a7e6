"""Channel-wise semantic graph convolution: every output channel has its own weights of the skeleton's edges."""

import math

import torch
from torch import Tensor, nn

from models.sem_graph_conv import XAVIER_GAIN, SemGraphConv


class SemCHGraphConv(SemGraphConv):
    r"""The channel-wise semantic graph convolution of Zhao et al., CVPR 2019 (equation 3).

    .. math:: Y_c = (S_c \circ I) X W_{0,c} + (S_c \circ (1 - I)) X W_{1,c} + b_c

    As :class:`SemGraphConv`, (B, J, C) -> (B, J, C'), with one :math:`S_c` for every output channel c.
    """

    def __init__(self, in_features: int, out_features: int, adjacency: Tensor) -> None:
        super().__init__(in_features, out_features, adjacency, edge_sets=out_features)

    def reset_parameters(self) -> None:
        """Initialise as published: as `SemGraphConv`, but the number of input channels bounds the bias."""
        nn.init.xavier_uniform_(self.W, gain=XAVIER_GAIN)
        nn.init.ones_(self.e)
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        own, others = x @ self.W[0], x @ self.W[1]                                     # (B, J, C')
        S = self.edge_weights()                                                        # (C', J, J)
        return (torch.einsum('cij,bjc->bic', S * self.identity, own)
                + torch.einsum('cij,bjc->bic', S * (1 - self.identity), others) + self.bias)
