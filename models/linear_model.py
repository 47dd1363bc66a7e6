"""The fully connected baseline of Martinez et al., ICCV 2017.

Deliberate difference from the published code: biases in front of a batch norm stay as they are (`models/bias.py`).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.bias import bias_before
from models.dropout import dropout


def _normed(linear: nn.Linear, norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return norm(F.linear(x, linear.weight, bias_before(norm, linear.bias)))


class LinearStage(nn.Module):
    """Two layers of linear, batch norm, ReLU, dropout, and a short cut around them: (B, C) -> (B, C)."""

    def __init__(self, hid_dim: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(hid_dim, hid_dim)
        self.batch_norm1 = nn.BatchNorm1d(hid_dim)
        self.w2 = nn.Linear(hid_dim, hid_dim)
        self.batch_norm2 = nn.BatchNorm1d(hid_dim)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        y = dropout(F.relu(_normed(self.w1, self.batch_norm1, x)), self.dropout, self.training)
        y = dropout(F.relu(_normed(self.w2, self.batch_norm2, y)), self.dropout, self.training)
        return x + y


class LinearModel(nn.Module):
    """Lift 2D poses to 3D with fully connected layers.

    The published network answers the joints without the hip; here the hip is put back as zero, so that every network
    has the same face.

    Args:
        joints: J, the hip first.
        hid_dim: width.
        num_layers: residual stages.
        dropout: probability, after each ReLU.
    Shapes:
        (B, J, 2) normalised image coordinates -> (B, J, 3) metres, relative to the hip.
    """

    loss_joints = slice(1, None)  # the training loss leaves out the hip, which is not predicted

    def __init__(self, joints: int = 16, hid_dim: int = 1024, num_layers: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.w1 = nn.Linear(joints * 2, hid_dim)
        self.batch_norm1 = nn.BatchNorm1d(hid_dim)
        self.linear_stages = nn.ModuleList(LinearStage(hid_dim, dropout) for _ in range(num_layers))
        self.w2 = nn.Linear(hid_dim, (joints - 1) * 3)
        self.dropout = dropout
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights; the biases keep PyTorch's default."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, keypoints: Tensor) -> Tensor:
        y = dropout(F.relu(_normed(self.w1, self.batch_norm1, keypoints.flatten(1))), self.dropout, self.training)
        for stage in self.linear_stages:
            y = stage(y)
        return F.pad(self.w2(y).unflatten(1, (-1, 3)), (0, 0, 1, 0))                   # the hip, zero, comes first


def config_of(state: dict[str, Tensor]) -> dict:
    """Read the network's shape off the tensors of a checkpoint that does not tell it."""
    stages = {name.split('.')[1] for name in state if name.startswith('linear_stages.')}
    return {'architecture': 'linear', 'hid_dim': len(state['w1.weight']), 'num_layers': len(stages)}
