"""The linear model, with faster dropout in training and batch norm folded into the weights for inference."""

import torch
from torch import nn

from models import linear_model
from models.fast.dropout import Dropout
from models.fast.folded import FoldedLinear


class LinearModel(linear_model.LinearModel):
    """`models.linear_model.LinearModel`, faster: the same arguments, parameters and results."""

    def __init__(self, joints: int = 16, hid_dim: int = 1024, num_layers: int = 2, dropout: float = 0.5,
                 window: int = 1, unit: float = 1.0) -> None:
        super().__init__(joints, hid_dim, num_layers, dropout, window, unit)
        for module in (self, *self.linear_stages):
            module.dropout = Dropout(dropout)

    @torch.no_grad()
    def folded(self) -> nn.Module:
        """A network for inference, as `models.fast.folded` describes."""
        return FoldedLinear(self)
