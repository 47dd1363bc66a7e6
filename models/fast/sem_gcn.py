"""SemGCN, with gradients written out in training and batch norm folded into the weights for inference."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models import sem_gcn
from models.fast.folded import FoldedSemGCN
from models.fast.graph_conv import GraphProduct, conv_blocks, edge_positions, edge_weights_of
from models.fast.non_local import non_local
from models.graph_non_local import GraphNonLocal
from models.sem_gcn import GraphConv, ResGraphConv
from models.sem_graph_conv import SemGraphConv


class SemGCN(sem_gcn.SemGCN):
    """`models.sem_gcn.SemGCN`, faster: the same arguments, parameters and results.

    Inside, poses are joint-major, (J, B, C), and the joints of a non-local pair are neighbours. Groups of more than two
    joints run the plain equations.
    """

    joint_order: Tensor
    inverse_order: Tensor
    edges: Tensor

    def __init__(self, adjacency: Tensor, hid_dim: int = 128, num_layers: int = 4, conv: str = 'sem',
                 groups: Sequence[Sequence[int]] | None = None, dropout: float = 0.0, window: int = 1,
                 unit: float = 1.0) -> None:
        super().__init__(adjacency, hid_dim, num_layers, conv, groups, dropout, window, unit)
        pairs_first = sorted(groups or [range(len(adjacency))], key=len, reverse=True)
        self.pairs = sum(len(group) == 2 for group in pairs_first)
        self.pools_pairs = groups is None or len(pairs_first[0]) <= 2
        joint_order = torch.tensor([joint for group in pairs_first for joint in group])
        self.register_buffer('joint_order', joint_order, persistent=False)
        self.register_buffer('inverse_order', joint_order.argsort(), persistent=False)
        self.register_buffer('edges', edge_positions(self.gconv_output, self.inverse_order), persistent=False)

    def forward(self, keypoints: Tensor) -> Tensor:
        return self._forward(keypoints) if self.is_faster(keypoints) else super().forward(keypoints)

    def is_faster(self, keypoints: Tensor) -> bool:
        """Whether `_forward` applies: in training with autograd, with the published kinds of layers."""
        return (self.pools_pairs and torch.is_grad_enabled() and not torch.compiler.is_compiling()
                and not torch.is_autocast_enabled(keypoints.device.type)
                and all(type(conv) is GraphConv and conv.training and type(conv.gconv) is SemGraphConv
                        and type(conv.bn) is nn.BatchNorm1d and conv.bn.training for conv in self.convs()))

    def blocks(self) -> list[Any]:
        return [*self.gconv_input, *self.gconv_layers]

    def convs(self) -> list[Any]:
        """The convolution blocks, including the ones inside residual blocks."""
        return [conv for block in self.blocks() if type(block) is not GraphNonLocal
                for conv in ((block.gconv1, block.gconv2) if type(block) is ResGraphConv else (block,))]

    def _forward(self, keypoints: Tensor) -> Tensor:
        """`models.sem_gcn.SemGCN.forward` for training: (B, J, 2) -> (B, J, 3)."""
        output = self.gconv_output
        edge_weights = iter(edge_weights_of([*(conv.gconv for conv in self.convs()), output], self.edges))
        x = keypoints.transpose(0, 1).index_select(0, self.joint_order)                # (J, B, 2)
        for attends, run in itertools.groupby(self.blocks(), lambda block: type(block) is GraphNonLocal):
            blocks = list(run)
            x = non_local(blocks[0], x, self.pairs) if attends else conv_blocks(x, blocks, edge_weights)
        x = GraphProduct.apply(x.flatten(0, 1), output.W, next(edge_weights)).view(*x.shape[:2], 3) + output.bias
        return self.unit * x.index_select(0, self.inverse_order).transpose(0, 1)       # (B, J, 3)

    @torch.no_grad()
    def folded(self) -> nn.Module:
        """A network for inference, as `models.fast.folded` describes; this one itself where it cannot be folded."""
        if not self.pools_pairs or type(self.gconv_output) is not SemGraphConv:
            return self
        return FoldedSemGCN(self.blocks(), self.gconv_output, self.unit, self.joint_order, self.edges,
                            self.pairs)
