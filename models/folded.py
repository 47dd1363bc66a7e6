"""Networks for inference: batch norm folded into the weights, what does not depend on the pose computed once.

A folded network answers as its original does in evaluation mode, up to rounding; it cannot be trained.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph_non_local import GraphNonLocal, attend
from models.linear_model import LinearModel, LinearStage
from models.sem_gcn import GraphConv, ResGraphConv, SemGCN
from models.sem_graph_conv import SemGraphConv


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """The network for inference that answers as `model` does in evaluation mode.

    It shares no tensors with `model`; a network that has no folded form is returned as it is.
    """
    if isinstance(model, SemGCN):
        blocks = [*model.gconv_input, *model.gconv_layers]
        return FoldedSemGCN(model.order, [_fold_block(block) for block in blocks],
                            FoldedConv(model.gconv_output, None))
    if isinstance(model, LinearModel):
        return FoldedLinear(model)
    return model


def _scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Batch norm with its running statistics, as y * scale + shift."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def _fold_block(block: nn.Module) -> nn.Module:
    if isinstance(block, GraphConv):
        return FoldedConv(block.gconv, block.bn)
    if isinstance(block, GraphNonLocal):
        return FoldedNonLocal(block)
    assert isinstance(block, ResGraphConv)
    return FoldedResidual(_fold_block(block.gconv1), _fold_block(block.gconv2))


class FoldedConv(nn.Module):
    """Graph convolution and batch norm as one weight, one mixing of joints and one bias; then ReLU if there was a norm.

    Shapes: (J, B, C) -> (J, B, C').
    """

    def __init__(self, gconv: SemGraphConv, norm: nn.BatchNorm1d | None) -> None:
        super().__init__()
        scale, shift = (1.0, 0.0) if norm is None else _scale_and_shift(norm)
        self.activate = norm is not None
        self.product = gconv.product
        self.register_buffer('weight', gconv.W * scale)                                # (2, C, C')
        self.register_buffer('bias', gconv.bias * scale + shift)
        self.register_buffer('mixing', gconv.mixing().clone())
        self.weight: Tensor
        self.bias: Tensor
        self.mixing: Tensor

    def forward(self, x: Tensor) -> Tensor:
        y = self.product(x, self.weight, self.mixing).add_(self.bias)
        return y.relu_() if self.activate else y


class FoldedResidual(nn.Module):
    """Two folded convolutions and a short cut around them: (J, B, C) -> (J, B, C)."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).add_(x)


class FoldedNonLocal(nn.Module):
    """A non-local block with its last convolution and batch norm as one: (J, B, C) -> (J, B, C)."""

    def __init__(self, block: GraphNonLocal) -> None:
        super().__init__()
        project, norm = getattr(block, 'nonlocal')['W']
        scale, shift = _scale_and_shift(norm)
        for index, value in enumerate(block.look()):
            self.register_buffer(f'look{index}', value.clone())
        self.register_buffer('project', project.weight.squeeze(2) * scale.unsqueeze(1))
        self.register_buffer('bias', project.bias * scale + shift)
        self.project: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        gathered = attend(x, *(self.get_buffer(f'look{index}') for index in range(5)))
        update = F.linear(gathered.flatten(0, 1), self.project, self.bias)
        return x + update.view(x.shape[1], x.shape[0], -1).transpose(0, 1)


class FoldedSemGCN(nn.Module):
    """SemGCN for inference: (B, J, 2) -> (B, J, 3)."""

    CPU_BATCH = 64  # poses at a time: the activations of more leave a core's cache, and malloc returns their memory
    order: Tensor
    place: Tensor

    def __init__(self, order: Tensor, blocks: list[nn.Module], output: FoldedConv) -> None:
        super().__init__()
        self.register_buffer('order', order.clone())
        self.register_buffer('place', order.argsort())
        self.blocks = nn.Sequential(*blocks)
        self.output = output

    def forward(self, keypoints: Tensor) -> Tensor:
        x = self.blocks(keypoints.transpose(0, 1).index_select(0, self.order))
        return self.output(x).index_select(0, self.place).transpose(0, 1)


class FoldedLinear(nn.Module):
    """The linear model for inference: (B, J, 2) -> (B, J, 3)."""

    CPU_BATCH = 512  # poses at a time: for fewer most of the time goes into fetching 17 MB of weights

    def __init__(self, model: LinearModel) -> None:
        super().__init__()
        self.first = _fold_linear(model.w1, model.batch_norm1)
        self.stages = nn.ModuleList(map(_fold_stage, model.linear_stages))
        self.last = copy.deepcopy(model.w2)

    def forward(self, keypoints: Tensor) -> Tensor:
        y = self.first(keypoints.flatten(1))
        for stage in self.stages:
            y = stage(y).add_(y)
        return F.pad(self.last(y).unflatten(1, (-1, 3)), (0, 0, 1, 0))                 # the hip, zero, comes first


def _fold_stage(stage: nn.Module) -> nn.Sequential:
    assert isinstance(stage, LinearStage)
    return nn.Sequential(_fold_linear(stage.w1, stage.batch_norm1), _fold_linear(stage.w2, stage.batch_norm2))


def _fold_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Sequential:
    scale, shift = _scale_and_shift(norm)
    folded = copy.deepcopy(linear)
    torch.mul(linear.weight, scale.unsqueeze(1), out=folded.weight)
    folded.bias.copy_(linear.bias * scale + shift)
    return nn.Sequential(folded, nn.ReLU(inplace=True))
