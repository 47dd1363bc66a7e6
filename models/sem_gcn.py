"""SemGCN: the network of Zhao et al., CVPR 2019, figure 3.

Deliberate differences from the published code:
- constants are buffers, computed once;
- a non-local block gathers the joints of its groups; the published block re-orders all joints before and after;
- biases in front of a batch norm keep their initial values (`models/bias.py`). Only this changes results, and only in
  evaluations.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from models.bias import bias_before
from models.graph_non_local import GraphNonLocal
from models.sem_ch_graph_conv import SemCHGraphConv
from models.sem_graph_conv import SemGraphConv

CONVOLUTIONS = {'sem': SemGraphConv, 'semch': SemCHGraphConv}


class GraphConv(nn.Module):
    """Graph convolution, batch norm over channels, ReLU, dropout.

    Args:
        gconv: the convolution, from C to C' channels.
        dropout: probability.
    Shapes:
        (B, J, C) -> (B, J, C').
    """

    def __init__(self, gconv: SemGraphConv, dropout: float) -> None:
        super().__init__()
        self.gconv = gconv
        self.bn = nn.BatchNorm1d(gconv.out_features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = functional_call(self.gconv, {'bias': bias_before(self.bn, self.gconv.bias)}, x)  # (B, J, C')
        x = self.bn(x.flatten(0, 1)).view_as(x)                                        # over poses and joints
        return self.dropout(F.relu(x))


class ResGraphConv(nn.Module):
    """Two graph convolution blocks and a residual connection around them: (B, J, C) -> (B, J, C)."""

    def __init__(self, gconv1: SemGraphConv, gconv2: SemGraphConv, dropout: float) -> None:
        super().__init__()
        self.gconv1 = GraphConv(gconv1, dropout)
        self.gconv2 = GraphConv(gconv2, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gconv2(self.gconv1(x))


class SemGCN(nn.Module):
    """Lift 2D poses to 3D on the graph of the skeleton.

    Args:
        adjacency: (J, J) of the skeleton, with self-loops.
        hid_dim: channels of a joint inside.
        num_layers: residual blocks.
        conv: 'sem': one set of edge weights for each layer; 'semch': one for each channel.
        groups: joints that the non-local blocks pool together. A non-local block follows the input block and every
            residual block. None: no non-local blocks.
        dropout: probability, after each ReLU.
        window: W, frames in the input; each joint has x and y of the first frame, x and y of the second, ...
        unit: metres that 1 stands for in the last layer, see `models.config.ModelConfig`.
    Shapes:
        (B, J, 2 W) normalised image coordinates -> (B, J, 3) metres, relative to the hip up to a small offset.
    Raises:
        ValueError: no layer can be made of these arguments, or the groups do not hold every joint once.
    """

    loss_joints = slice(None)  # the training loss covers every joint

    def __init__(self, adjacency: Tensor, hid_dim: int = 128, num_layers: int = 4, conv: str = 'sem',
                 groups: Sequence[Sequence[int]] | None = None, dropout: float = 0.0, window: int = 1,
                 unit: float = 1.0) -> None:
        super().__init__()
        if conv not in CONVOLUTIONS:
            raise ValueError(f'conv must be one of {", ".join(CONVOLUTIONS)}, not {conv!r}')
        if groups is not None and sum(map(len, groups)) != len(adjacency):
            raise ValueError('the groups of a non-local block must hold every joint once')

        def gconv(in_features: int, out_features: int) -> SemGraphConv:
            return CONVOLUTIONS[conv](in_features, out_features, adjacency)

        def non_local() -> list[nn.Module]:
            return [] if groups is None else [GraphNonLocal(hid_dim, groups)]

        self.gconv_input = nn.Sequential(GraphConv(gconv(2 * window, hid_dim), dropout), *non_local())
        layers: list[nn.Module] = []
        for _ in range(num_layers):
            layers += [ResGraphConv(gconv(hid_dim, hid_dim), gconv(hid_dim, hid_dim), dropout), *non_local()]
        self.gconv_layers = nn.Sequential(*layers)
        self.gconv_output = gconv(hid_dim, 3)
        self.unit = unit

    def forward(self, keypoints: Tensor) -> Tensor:
        x = self.gconv_input(keypoints)                                                # (B, J, hid_dim)
        x = self.gconv_layers(x)
        return self.unit * self.gconv_output(x)                                        # (B, J, 3)
