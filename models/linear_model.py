"""The fully connected baseline of Martinez et al., ICCV 2017.

Deliberate difference from the published code: biases in front of a batch norm keep their initial values
(`models/bias.py`).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.bias import bias_before


def _normed(layer: nn.Linear, norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """norm(layer(x)), (B, C) -> (B, C')."""
    return norm(F.linear(x, layer.weight, bias_before(norm, layer.bias)))


class LinearStage(nn.Module):
    """Two layers (linear, batch norm, ReLU, dropout) and a residual connection around them.

    Args:
        hid_dim: channels, C.
        dropout: probability.
    Shapes:
        (B, C) -> (B, C).
    """

    def __init__(self, hid_dim: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(hid_dim, hid_dim)
        self.batch_norm1 = nn.BatchNorm1d(hid_dim)
        self.w2 = nn.Linear(hid_dim, hid_dim)
        self.batch_norm2 = nn.BatchNorm1d(hid_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu(_normed(self.w1, self.batch_norm1, x)))
        y = self.dropout(F.relu(_normed(self.w2, self.batch_norm2, y)))
        return x + y


class LinearModel(nn.Module):
    """Lift 2D poses to 3D with fully connected layers.

    The published network predicts the joints without the hip. Here the hip is added as zero, so that every network
    returns all joints.

    Args:
        joints: J, the hip first.
        hid_dim: channels inside.
        num_layers: residual stages.
        dropout: probability, after each ReLU.
        window: W, frames in the input; each joint has x and y of the first frame, x and y of the second, ...
        unit: metres that 1 stands for in the last layer, see `models.config.ModelConfig`.
    Shapes:
        (B, J, 2 W) normalised image coordinates -> (B, J, 3) metres, relative to the hip.
    """

    loss_joints = slice(1, None)  # the training loss leaves out the hip, which is not predicted

    def __init__(self, joints: int = 16, hid_dim: int = 1024, num_layers: int = 2, dropout: float = 0.5,
                 window: int = 1, unit: float = 1.0) -> None:
        super().__init__()
        self.w1 = nn.Linear(joints * 2 * window, hid_dim)
        self.batch_norm1 = nn.BatchNorm1d(hid_dim)
        self.linear_stages = nn.Sequential(*(LinearStage(hid_dim, dropout) for _ in range(num_layers)))
        self.w2 = nn.Linear(hid_dim, (joints - 1) * 3)
        self.unit = unit
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights; the biases keep PyTorch's default."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, keypoints: Tensor) -> Tensor:
        x = keypoints.flatten(1)                                                       # (B, 2 J W)
        x = self.dropout(F.relu(_normed(self.w1, self.batch_norm1, x)))                # (B, hid_dim)
        x = self.linear_stages(x)
        x = self.unit * self.w2(x).unflatten(1, (-1, 3))                               # (B, J - 1, 3)
        return F.pad(x, (0, 0, 1, 0))                                                  # (B, J, 3): the hip comes first
