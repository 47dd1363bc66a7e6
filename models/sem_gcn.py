"""SemGCN: the network of Zhao et al., CVPR 2019, figure 3.

Deliberate differences from the published code, none of which changes a result:
- poses are joint-major, (J, B, C), between the first and the last layer;
- constants are buffers, made once;
- joints are put in the order of the non-local pairs once, at the entrance, instead of in every block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

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

    def forward(self, x: Tensor, mixings: Iterator[Tensor]) -> Tensor:
        mixing = next(mixings)
        x = self._written_out(x, mixing) if self._can_be_written_out(x) else self._by_modules(x, mixing)
        return F.dropout(x, self.dropout, self.training) if self.dropout else x

    def _by_modules(self, x: Tensor, mixing: Tensor) -> Tensor:
        x = self.gconv(x, mixing)
        return F.relu(self.bn(x.view(-1, x.shape[2])), inplace=True).view_as(x)

    def _can_be_written_out(self, x: Tensor) -> bool:
        return (type(self.gconv) is SemGraphConv and type(self.bn) is nn.BatchNorm1d and self.training
                and x.shape[2] >= len(self.gconv.bias) and torch.is_grad_enabled()
                and not torch.is_autocast_enabled(x.device.type) and not torch.compiler.is_compiling())

    def _written_out(self, x: Tensor, mixing: Tensor) -> Tensor:
        gconv, bn = self.gconv, self.bn
        assert bn.num_batches_tracked is not None
        bn.num_batches_tracked.add_(1)
        return _GraphConv.apply(x, gconv.W, mixing, gconv.bias, bn.weight, bn.bias, bn.running_mean, bn.running_var,
                                bn.momentum, bn.eps)


class _GraphConv(torch.autograd.Function):
    """Graph convolution, batch norm and ReLU in training, the gradient written out: half the work of a small batch is
    the calling of operations, and this calls few."""

    @staticmethod
    def forward(ctx, x, weight, mixing, bias, scale, shift, running_mean, running_var, momentum, eps):
        x = x.contiguous()
        y = mixed_product(x, weight, mixing).flatten(0, 1).add_(bias)
        z, *statistics = torch.native_batch_norm(y, scale, shift, running_mean, running_var, True, momentum, eps)
        z.relu_()
        ctx.save_for_backward(x, weight, mixing, y, z, scale, *statistics)
        ctx.eps = eps
        return z.view(*x.shape[:2], len(bias))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight, mixing, y, z, scale, *statistics = ctx.saved_tensors
        grad = torch.ops.aten.threshold_backward(grad.reshape(z.shape), z, 0)
        grad, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            grad, y, scale, None, None, *statistics, True, ctx.eps, (True, True, True))
        gradients = mixed_product_gradients(grad.view(*x.shape[:2], len(scale)), x, weight, mixing)
        return *gradients, grad.sum(0), grad_scale, grad_shift, None, None, None, None


class ResGraphConv(nn.Module):
    """Two graph convolution blocks and a short cut around them: (J, B, C) -> (J, B, C); `mixings` as of `GraphConv`."""

    def __init__(self, gconv1: SemGraphConv, gconv2: SemGraphConv, dropout: float) -> None:
        super().__init__()
        self.gconv1 = GraphConv(gconv1, dropout)
        self.gconv2 = GraphConv(gconv2, dropout)

    def forward(self, x: Tensor, mixings: Iterator[Tensor]) -> Tensor:
        return x + self.gconv2(self.gconv1(x, mixings), mixings)


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
                 pairs: Sequence[tuple[int, int]] | None = None, dropout: float = 0.0) -> None:
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

    def forward(self, keypoints: Tensor) -> Tensor:
        x = keypoints.transpose(0, 1)[self.order]                                      # (J, B, 2)
        mixings = iter(mixings_of(self._convs))
        for block in (*self.gconv_input, *self.gconv_layers):
            x = block(x) if isinstance(block, GraphNonLocal) else block(x, mixings)
        return self.gconv_output(x, next(mixings))[self.place].transpose(0, 1)          # (B, J, 3)


def config_of(state: dict[str, Tensor]) -> dict:
    """Read the network's shape off the tensors of a checkpoint that does not tell it."""
    blocks = {name.split('.')[1] for name in state if name.startswith('gconv_layers.') and '.gconv1.' in name}
    weight, e = state['gconv_input.0.gconv.W'], state['gconv_input.0.gconv.e']
    return {'architecture': 'gcn', 'conv': 'sem' if len(e) == 1 else 'semch', 'hid_dim': weight.shape[2],
            'num_layers': len(blocks), 'non_local': any('.nonlocal.' in name for name in state)}

