"""Non-local block on the skeleton: every joint looks at every pair of joints."""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GraphNonLocal(nn.Module):
    r"""The non-local layer of Zhao et al., CVPR 2019 (equation 4), concatenation form, over pooled groups of joints.

    .. math:: Y = X + BN(W_y \cdot \tfrac1P \sum_p ReLU(w \cdot [\theta_i; \phi_p]) \, g_p)

    g and phi are max-pooled over each of the P groups. The dot product with the concatenated [theta; phi] is the sum of
    two dot products, so no (B, 2C, J, P) tensor is built; and theta is only ever used through its dot product, so its
    convolution and that product are one vector. The published code re-orders the joints to pool them; the sum over
    groups does not depend on the order, so here only the pooled rows are picked.

    Args:
        channels: C of every joint.
        groups: (P, size) the joints pooled together.
    Shapes:
        (J, B, C) -> (J, B, C).
    """

    def __init__(self, channels: int, groups: Tensor) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f'a non-local block halves its channels: {channels} is odd')
        self.inner = channels // 2
        self.register_buffer('groups', groups.T.contiguous(), persistent=False)        # (size, P)
        self.groups: Tensor
        # The containers carry the names of the published files; `nonlocal` is a keyword, so it is added by name.
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

    def forward(self, x: Tensor) -> Tensor:
        parts = getattr(self, 'nonlocal')
        to_joint, to_group = parts['concat_project'][0].weight.view(2, self.inner)
        g, theta, phi, (project, norm) = parts['g'][0], parts['theta'], parts['phi'][0], parts['W']

        both = F.linear(x, torch.cat([g.weight, phi.weight]).squeeze(2), torch.cat([g.bias, phi.bias]))
        pooled = reduce(torch.maximum, (both[group] for group in self.groups))         # (P, B, 2 C/2)
        values, keys = pooled.split(self.inner, dim=2)
        queries = x @ (to_joint @ theta.weight.squeeze(2)) + to_joint @ theta.bias     # (J, B)
        attention = F.relu(queries.unsqueeze(1) + keys @ to_group) / len(pooled)       # (J, P, B)
        gathered = torch.einsum('jpb,pbc->jbc', attention, values)
        update = F.linear(gathered, project.weight.squeeze(2), project.bias)
        return x + norm(update.view(-1, x.shape[2])).view_as(x)
