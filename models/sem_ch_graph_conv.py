"""Channel-wise semantic graph convolution: a learned weighting of the edges for every output channel."""

import math

import torch
from torch import Tensor

from models.sem_graph_conv import SemGraphConv


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

    def forward(self, x: Tensor) -> Tensor:
        joints, batch, channels = x.shape
        weights = self.edge_weights()                                                  # (C', J, J)
        own = weights.diagonal(dim1=1, dim2=2).T.unsqueeze(1)                          # (J, 1, C')
        transformed = torch.matmul(x.reshape(1, joints * batch, channels), self.W).view(2, joints, batch, -1)
        others = torch.einsum('cij,jbc->ibc', weights * (1 - self.eye), transformed[1])
        return own * transformed[0] + others + self.bias
