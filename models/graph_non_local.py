"""Non-local block on the skeleton: every joint attends to every group of joints."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.bias import bias_before


class GraphNonLocal(nn.Module):
    r"""The non-local layer of Zhao et al., CVPR 2019 (equation 4), in its concatenation form, over groups of joints.

    .. math:: Y_j = X_j + BN(W_y \tfrac1P \sum_{p=1}^P ReLU(w \cdot [\theta_j; \phi_p]) \, g_p)

    :math:`\theta`, :math:`\phi` and g are linear in X; :math:`\phi` and g are max-pooled over each of the P groups.

    Args:
        channels: channels of a joint, C; even.
        groups: the joints of each group; together they hold every joint once. Published: pairs of the 16 joints.
    Shapes:
        (B, J, C) -> (B, J, C).
    Raises:
        ValueError: the channels are odd, or the groups do not hold every joint once.
    """

    groups: Tensor

    def __init__(self, channels: int, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        if channels < 2 or channels % 2:
            raise ValueError(f'a non-local block halves its channels: {channels} is odd')
        joints = sorted(joint for group in groups for joint in group)
        if not joints or joints != list(range(len(joints))) or not all(groups):
            raise ValueError(f'the groups of a non-local block must hold every joint once, not {groups}')
        largest = max(map(len, groups))
        # A smaller group repeats its last joint, which leaves its maximum as it is.
        padded = [[*group, *[group[-1]] * (largest - len(group))] for group in groups]
        self.register_buffer('groups', torch.tensor(padded), persistent=False)
        self.inner = channels // 2
        # Names of the published files; `nonlocal` is a keyword of Python, so it cannot be an ordinary attribute.
        self.add_module('nonlocal', nn.ModuleDict({
            'g': nn.Sequential(nn.Conv1d(channels, self.inner, 1)),
            'theta': nn.Conv1d(channels, self.inner, 1),
            'phi': nn.Sequential(nn.Conv1d(channels, self.inner, 1)),
            'concat_project': nn.Sequential(nn.Conv2d(2 * self.inner, 1, 1, bias=False)),
            'W': nn.Sequential(nn.Conv1d(self.inner, channels, 1), nn.BatchNorm1d(channels)),
        }))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights and zero biases; the last batch norm is zero, so the block starts as the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm1d):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)

    def pool(self, x: Tensor) -> Tensor:
        """The maximum over each group of joints, (B, J, C) -> (B, P, C)."""
        return x[:, self.groups].max(dim=2).values

    def forward(self, x: Tensor) -> Tensor:
        parts = getattr(self, 'nonlocal')
        theta, phi, g = (_linear(x, conv) for conv in (parts['theta'], parts['phi'][0], parts['g'][0]))  # (B, J, C/2)
        phi, g = self.pool(phi), self.pool(g)                                          # (B, P, C/2)
        # The product with a concatenation is the sum of two products, so no (B, J, P, C) tensor is needed.
        w_theta, w_phi = parts['concat_project'][0].weight.view(2, self.inner, 1)
        f = F.relu(theta @ w_theta + (phi @ w_phi).transpose(1, 2)) / len(self.groups)  # (B, J, P)
        project, norm = parts['W']
        y = _linear(f @ g, project, bias_before(norm, project.bias))                   # (B, J, C)
        return x + norm(y.flatten(0, 1)).view_as(x)


def _linear(x: Tensor, conv: nn.Conv1d, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution with channels last, (B, J, C) -> (B, J, C')."""
    return F.linear(x, conv.weight.squeeze(2), conv.bias if bias is None else bias)
