"""SemGCN: the network of Zhao et al., CVPR 2019, figure 3.

Deliberate differences from the published code, of which only the last changes a result, that of an evaluation:
- poses are joint-major, (J, B, C), between the first and the last layer;
- constants are buffers, made once;
- joints are put in the order of the non-local pairs once, at the entrance, instead of in every block;
- biases in front of a batch norm stay as they are (`models/bias.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.bias import bias_before
from models.dropout import dropout, dropout_mask
from models.graph_non_local import GraphNonLocal
from models.sem_ch_graph_conv import SemCHGraphConv
from models.sem_graph_conv import SemGraphConv, mixed_product, mixed_product_gradients, mixings_of

CONVOLUTIONS = {'sem': SemGraphConv, 'semch': SemCHGraphConv}


class GraphConv(nn.Module):
    """Graph convolution, batch norm over channels, ReLU, dropout: (J, B, C) -> (J, B, C').

    The next of `mixings`, an iterator over those of the network, is that of its convolution.
    """

    def __init__(self, gconv: SemGraphConv, dropout: float) -> None:
        super().__init__()
        self.gconv = gconv
        self.bn = nn.BatchNorm1d(len(gconv.bias))
        self.dropout = dropout

    def convs(self) -> Sequence[GraphConv]:
        return [self]

    def forward(self, x: Tensor, mixings: Iterator[Tensor]) -> Tensor:
        x = self.gconv.product(x, self.gconv.W, next(mixings)) + bias_before(self.bn, self.gconv.bias)
        x = F.relu(self.bn(x.view(-1, x.shape[2])), inplace=True).view_as(x)
        return dropout(x, self.dropout, self.training)


class ResGraphConv(nn.Module):
    """Two graph convolution blocks and a short cut around them: (J, B, C) -> (J, B, C); `mixings` as of `GraphConv`."""

    def __init__(self, gconv1: SemGraphConv, gconv2: SemGraphConv, dropout: float) -> None:
        super().__init__()
        self.gconv1 = GraphConv(gconv1, dropout)
        self.gconv2 = GraphConv(gconv2, dropout)

    def convs(self) -> Sequence[GraphConv]:
        return self.gconv1, self.gconv2

    def forward(self, x: Tensor, mixings: Iterator[Tensor]) -> Tensor:
        return x + self.gconv2(self.gconv1(x, mixings), mixings)


def in_a_row(blocks: Sequence[GraphConv | ResGraphConv], x: Tensor, mixings: Iterator[Tensor]) -> Tensor:
    """Blocks one after the other."""
    convs = [conv for block in blocks for conv in block.convs()]
    if _can_be_written_out(convs, x):
        return _InARow.apply(x, [block.convs() for block in blocks], *(tensor for conv in convs for tensor in (
            conv.gconv.W, next(mixings), conv.gconv.bias, conv.bn.weight, conv.bn.bias)))
    for block in blocks:
        x = block(x, mixings)
    return x


def _can_be_written_out(convs: Sequence[GraphConv], x: Tensor) -> bool:
    return (torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type)
            and not torch.compiler.is_compiling()
            and all(conv.training and type(conv.gconv) is SemGraphConv and type(conv.bn) is nn.BatchNorm1d
                    for conv in convs))


class _InARow(torch.autograd.Function):
    """`in_a_row` in training, the gradient written out as one: a third of the work of a small batch is the calling of
    operations, and this calls few."""

    @staticmethod
    def forward(ctx, x, blocks, *parameters):
        joints_and_poses, x = x.shape[:2], x.flatten(0, 1).contiguous()
        each, kept = zip(*[iter(parameters)] * 5, strict=True), []
        for block in blocks:
            start = x
            for conv in block:
                weight, mixing, bias, scale, shift = next(each)
                bn = conv.bn
                y = mixed_product(x, weight, mixing)
                z, mean, spread = torch.native_batch_norm(y, scale, shift, bn.running_mean, bn.running_var, True,
                                                          bn.momentum, bn.eps)
                bn.running_mean.add_(bias, alpha=bn.momentum)  # all that it does, as `bias_before` says
                bn.num_batches_tracked.add_(1)
                z.relu_()
                mask = dropout_mask(z, conv.dropout) if conv.dropout else None
                kept += [x, weight, mixing, y, scale, mean, spread, z, mask]
                x = z if mask is None else z * mask
            x = start + x if len(block) > 1 else x
        ctx.save_for_backward(*kept)
        ctx.blocks = blocks
        return x.view(*joints_and_poses, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        joints_and_poses, grad = grad.shape[:2], grad.flatten(0, 1).contiguous()
        each, gradients = zip(*[reversed(ctx.saved_tensors)] * 9, strict=True), []
        for block in reversed(ctx.blocks):
            outgoing = grad
            for conv in reversed(block):
                mask, z, spread, mean, scale, y, mixing, weight, x = next(each)
                grad = grad if mask is None else grad * mask
                grad, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
                    torch.ops.aten.threshold_backward(grad, z, 0), y, scale, None, None, mean, spread, True,
                    conv.bn.eps, (True, True, True))
                grad, grad_weight, grad_mixing = mixed_product_gradients(grad, x, weight, mixing)
                gradients = [grad_weight, grad_mixing, torch.zeros_like(scale), grad_scale, grad_shift, *gradients]
            grad = grad.add_(outgoing) if len(block) > 1 else grad
        return grad.view(*joints_and_poses, grad.shape[1]), None, *gradients


class SemGCN(nn.Module):
    """Lift 2D poses to 3D on the graph of the skeleton.

    Args:
        adjacency: (J, J) of the skeleton, with self-loops.
        hid_dim: channels of a joint inside.
        num_layers: residual blocks.
        conv: 'sem', one weighting of the edges a layer, or 'semch', one a channel.
        pairs: joints pooled together by the non-local blocks, which follow the input block and every
            residual block; None for the network without them.
        dropout: probability, after each ReLU.
    Shapes:
        (B, J, 2) normalised image coordinates -> (B, J, 3) metres, relative to the hip up to a small offset.
    """

    loss_joints = slice(None)  # the training loss covers every joint
    order: Tensor
    place: Tensor

    def __init__(self, adjacency: Tensor, hid_dim: int = 128, num_layers: int = 4, conv: str = 'sem',
                 pairs: Sequence[tuple[int, ...]] | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        joints = list(range(len(adjacency)))
        order = joints if pairs is None else [joint for pair in pairs for joint in pair]
        if sorted(order) != joints:
            raise ValueError('the pairs of a non-local block must cover every joint once')
        self.register_buffer('order', torch.tensor(order), persistent=False)
        self.register_buffer('place', torch.tensor([order.index(joint) for joint in joints]), persistent=False)

        def gconv(in_features: int, out_features: int) -> SemGraphConv:
            return CONVOLUTIONS[conv](in_features, out_features, adjacency, order)

        def non_local() -> list[nn.Module]:
            return [] if pairs is None else [GraphNonLocal(hid_dim)]

        self.gconv_input = nn.Sequential(GraphConv(gconv(2, hid_dim), dropout), *non_local())
        layers: list[nn.Module] = []
        for _ in range(num_layers):
            layers += [ResGraphConv(gconv(hid_dim, hid_dim), gconv(hid_dim, hid_dim), dropout), *non_local()]
        self.gconv_layers = nn.Sequential(*layers)
        self.gconv_output = gconv(hid_dim, 3)
        self._convs = [module for module in self.modules() if isinstance(module, SemGraphConv)]
        self._rows = [(non_local, list(blocks)) for non_local, blocks in itertools.groupby(
            (*self.gconv_input, *self.gconv_layers), lambda block: isinstance(block, GraphNonLocal))]

    def forward(self, keypoints: Tensor) -> Tensor:
        x = keypoints.transpose(0, 1).index_select(0, self.order)                      # (J, B, 2)
        mixings = iter(mixings_of(self._convs))
        for non_local, blocks in self._rows:
            x = blocks[0](x) if non_local else in_a_row(blocks, x, mixings)
        return self.gconv_output(x, next(mixings)).index_select(0, self.place).transpose(0, 1)  # (B, J, 3)


def config_of(state: dict[str, Tensor]) -> dict:
    """Read the network's shape off the tensors of a checkpoint that does not tell it."""
    blocks = {name.split('.')[1] for name in state if name.startswith('gconv_layers.') and '.gconv1.' in name}
    weight, e = state['gconv_input.0.gconv.W'], state['gconv_input.0.gconv.e']
    return {'architecture': 'gcn', 'conv': 'sem' if len(e) == 1 else 'semch', 'hid_dim': weight.shape[2],
            'num_layers': len(blocks), 'non_local': any('.nonlocal.' in name for name in state)}

