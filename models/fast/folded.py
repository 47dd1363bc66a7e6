"""Networks for inference: batch norm folded into the weights, and everything that no pose changes computed once.

Up to rounding, a folded network returns what its original returns in evaluation mode. It shares no tensors with the
original and cannot be trained.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.fast.graph_conv import edge_weights_of, graph_product
from models.fast.non_local import attention_inputs, attention_weights, pooled_attention
from models.graph_non_local import GraphNonLocal
from models.linear_model import LinearModel, LinearStage
from models.sem_gcn import GraphConv, ResGraphConv
from models.sem_graph_conv import SemGraphConv


def _scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Batch norm with its running statistics, as y * scale + shift."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


class FoldedConv(nn.Module):
    """Graph convolution and batch norm as one weight, one set of edge weights and one bias. With a norm, ReLU follows.

    Args:
        gconv: the convolution.
        norm: the batch norm that follows, if any.
        edge_weights: (J, 2 J) as in `models.fast.graph_conv`.
        unit: the factor of the output where no norm follows.
    Shapes:
        (J, B, C) -> (J, B, C').
    """

    weight: Tensor
    bias: Tensor
    edge_weights: Tensor

    def __init__(self, gconv: SemGraphConv, norm: nn.BatchNorm1d | None, edge_weights: Tensor,
                 unit: float) -> None:
        super().__init__()
        scale, shift = (unit, 0.0) if norm is None else _scale_and_shift(norm)
        self.activate = norm is not None
        self.register_buffer('weight', gconv.W * scale)                                # (2, C, C')
        self.register_buffer('bias', gconv.bias * scale + shift)
        self.register_buffer('edge_weights', edge_weights.clone())

    def forward(self, x: Tensor) -> Tensor:
        y = graph_product(x.flatten(0, 1), self.weight, self.edge_weights).unflatten(0, x.shape[:2]).add_(self.bias)
        return y.relu_() if self.activate else y


class FoldedResidual(nn.Module):
    """Two folded convolutions and a residual connection around them: (J, B, C) -> (J, B, C)."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).add_(x)


class FoldedNonLocal(nn.Module):
    """A non-local block with its last convolution and batch norm as one: (J, B, C) -> (J, B, C)."""

    project: Tensor
    bias: Tensor

    def __init__(self, block: GraphNonLocal, pairs: int) -> None:
        super().__init__()
        project, norm = getattr(block, 'nonlocal')['W']
        scale, shift = _scale_and_shift(norm)
        self.pairs = pairs
        for index, value in enumerate(attention_weights(block)):
            self.register_buffer(f'attention{index}', value.clone())
        self.register_buffer('project', project.weight.squeeze(2) * scale.unsqueeze(1))
        self.register_buffer('bias', project.bias * scale + shift)

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.get_buffer(f'attention{index}') for index in range(5))
        gathered = pooled_attention(*attention_inputs(x, *weights), self.pairs)[0]     # (B, J, C/2)
        update = F.linear(gathered.flatten(0, 1), self.project, self.bias)
        return x + update.view(x.shape[1], x.shape[0], -1).transpose(0, 1)


class FoldedSemGCN(nn.Module):
    """SemGCN for inference.

    Args:
        blocks, output, unit: of the network.
        joint_order: (J,) the joint at each index of the joint-major poses.
        edges: from `models.fast.graph_conv.edge_positions`.
        pairs: how many non-local groups are pairs, as in `models.fast.non_local`.
    Shapes:
        (B, J, 2) -> (B, J, 3).
    """

    CPU_BATCH = 64  # poses at a time: activations of more do not fit a core's cache, and malloc returns their memory
    joint_order: Tensor
    inverse_order: Tensor

    def __init__(self, blocks: Iterable[nn.Module], output: SemGraphConv, unit: float, joint_order: Tensor,
                 edges: Tensor, pairs: int) -> None:
        super().__init__()

        def fold_conv(gconv: SemGraphConv, norm: nn.BatchNorm1d | None = None) -> FoldedConv:
            return FoldedConv(gconv, norm, edge_weights_of([gconv], edges)[0], unit)

        def fold(block: nn.Module) -> nn.Module:
            if isinstance(block, GraphNonLocal):
                return FoldedNonLocal(block, pairs)
            if isinstance(block, ResGraphConv):
                return FoldedResidual(fold(block.gconv1), fold(block.gconv2))
            assert isinstance(block, GraphConv)
            return fold_conv(block.gconv, block.bn)

        self.register_buffer('joint_order', joint_order.clone())
        self.register_buffer('inverse_order', joint_order.argsort())
        self.blocks = nn.Sequential(*map(fold, blocks), fold_conv(output))

    def forward(self, keypoints: Tensor) -> Tensor:
        x = self.blocks(keypoints.transpose(0, 1).index_select(0, self.joint_order))   # (J, B, 3)
        return x.index_select(0, self.inverse_order).transpose(0, 1)


class FoldedLinear(nn.Module):
    """The linear model for inference: (B, J, 2) -> (B, J, 3)."""

    CPU_BATCH = 512  # poses at a time: with fewer, fetching 17 MB of weights takes most of the time

    def __init__(self, model: LinearModel) -> None:
        super().__init__()
        self.first = _fold_linear(model.w1, model.batch_norm1)
        self.stages = nn.ModuleList(map(_fold_stage, model.linear_stages))
        self.last = copy.deepcopy(model.w2)
        self.last.weight.mul_(model.unit)
        self.last.bias.mul_(model.unit)

    def forward(self, keypoints: Tensor) -> Tensor:
        y = self.first(keypoints.flatten(1))
        for stage in self.stages:
            y = stage(y).add_(y)
        return F.pad(self.last(y).unflatten(1, (-1, 3)), (0, 0, 1, 0))                 # the hip comes first


def _fold_stage(stage: nn.Module) -> nn.Sequential:
    assert isinstance(stage, LinearStage)
    return nn.Sequential(_fold_linear(stage.w1, stage.batch_norm1), _fold_linear(stage.w2, stage.batch_norm2))


def _fold_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Sequential:
    scale, shift = _scale_and_shift(norm)
    folded = copy.deepcopy(linear)
    torch.mul(linear.weight, scale.unsqueeze(1), out=folded.weight)
    folded.bias.copy_(linear.bias * scale + shift)
    return nn.Sequential(folded, nn.ReLU(inplace=True))
