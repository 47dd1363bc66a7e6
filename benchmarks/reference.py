"""The reference program, with which this program is compared: the same equations written the obvious way.

Nothing here is slow on purpose. It is written from the paper with PyTorch's usual tools: batch-major poses, a product
with the adjacency for each of the two weights, batch norm between two transpositions, the non-local block on the
concatenated (B, 2C, J, P) tensor, a Dataset of single poses, a DataLoader that shuffles, and PyTorch's Adam.
Parameters have the published names, so that both programs can load the same weights and be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from common.datasets.poses import Poses
from common.geometry.graph import adjacency
from common.geometry.skeleton import Skeleton
from models.config import ModelConfig
from models.linear_model import LinearModel


class SemGraphConv(nn.Module):
    mask: Tensor
    eye: Tensor

    def __init__(self, in_features: int, out_features: int, mask: Tensor) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(2, in_features, out_features))
        self.e = nn.Parameter(torch.ones(1, int(mask.sum())))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.xavier_uniform_(self.W, gain=1.414)
        self.register_buffer('mask', mask, persistent=False)
        self.register_buffer('eye', torch.eye(len(mask)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own, others = x @ self.W[0], x @ self.W[1]                                     # (B, J, C)
        weights = torch.full_like(self.eye, -torch.inf)
        weights[self.mask] = self.e.flatten()
        weights = F.softmax(weights, dim=1)
        return (weights * self.eye) @ own + (weights * (1 - self.eye)) @ others + self.bias


class GraphConv(nn.Module):
    def __init__(self, in_features: int, out_features: int, mask: Tensor) -> None:
        super().__init__()
        self.gconv = SemGraphConv(in_features, out_features, mask)
        self.bn = nn.BatchNorm1d(out_features)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.gconv(x).transpose(1, 2)).transpose(1, 2))


class ResGraphConv(nn.Module):
    def __init__(self, channels: int, mask: Tensor) -> None:
        super().__init__()
        self.gconv1, self.gconv2 = GraphConv(channels, channels, mask), GraphConv(channels, channels, mask)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gconv2(self.gconv1(x))


class GraphNonLocal(nn.Module):
    def __init__(self, channels: int, groups: Tensor) -> None:
        super().__init__()
        inner = channels // 2
        self.order = groups.flatten()
        self.inverse = self.order.argsort()
        self.add_module('nonlocal', nn.ModuleDict({
            'g': nn.Sequential(nn.Conv1d(channels, inner, 1), nn.MaxPool1d(2)),
            'theta': nn.Conv1d(channels, inner, 1),
            'phi': nn.Sequential(nn.Conv1d(channels, inner, 1), nn.MaxPool1d(2)),
            'concat_project': nn.Sequential(nn.Conv2d(2 * inner, 1, 1, bias=False), nn.ReLU()),
            'W': nn.Sequential(nn.Conv1d(inner, channels, 1), nn.BatchNorm1d(channels)),
        }))

    def forward(self, x: Tensor) -> Tensor:
        parts = getattr(self, 'nonlocal')
        ordered = x[:, self.order].transpose(1, 2)                                     # (B, C, J)
        g, theta, phi = parts['g'](ordered), parts['theta'](ordered), parts['phi'](ordered)
        joints, groups = theta.shape[2], phi.shape[2]
        pairs = torch.cat([theta.unsqueeze(3).expand(-1, -1, -1, groups),
                           phi.unsqueeze(2).expand(-1, -1, joints, -1)], dim=1)         # (B, 2C, J, P)
        f = parts['concat_project'](pairs).squeeze(1) / groups                         # (B, J, P)
        gathered = torch.matmul(f, g.transpose(1, 2)).transpose(1, 2)                  # (B, C, J)
        return (parts['W'](gathered) + ordered).transpose(1, 2)[:, self.inverse]


class SemGCN(nn.Module):
    loss_joints = slice(None)

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        super().__init__()
        mask = torch.from_numpy(adjacency(skeleton)) > 0
        groups = torch.tensor(skeleton.groups)
        non_local = [GraphNonLocal] if config.non_local else []
        self.gconv_input = nn.Sequential(GraphConv(2, config.hid_dim, mask),
                                         *(block(config.hid_dim, groups) for block in non_local))
        layers: list[nn.Module] = []
        for _ in range(config.num_layers):
            layers.append(ResGraphConv(config.hid_dim, mask))
            layers.extend(block(config.hid_dim, groups) for block in non_local)
        self.gconv_layers = nn.Sequential(*layers)
        self.gconv_output = SemGraphConv(config.hid_dim, 3, mask)

    def forward(self, keypoints: Tensor) -> Tensor:
        return self.gconv_output(self.gconv_layers(self.gconv_input(keypoints)))


def build_model(config: ModelConfig, skeleton: Skeleton) -> nn.Module:
    """The network of a config, written the obvious way. The linear network is the project's own plain one."""
    if config.architecture == 'linear':
        return LinearModel(len(skeleton), config.hid_dim, config.num_layers, config.dropout)
    return SemGCN(config, skeleton)


class PoseDataset(Dataset):
    """One pose at a time, as arrays."""

    def __init__(self, keypoints: np.ndarray, positions: np.ndarray) -> None:
        self.keypoints, self.positions = keypoints, positions

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.keypoints[index]), torch.from_numpy(self.positions[index])


def batches(poses: Poses, batch_size: int, shuffle: bool = True) -> DataLoader:
    return DataLoader(PoseDataset(poses.keypoints.numpy(), poses.positions.numpy()), batch_size, shuffle)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, keypoints: Tensor, positions: Tensor) -> float:
    """Forward, backward, clip, Adam; returns the loss."""
    optimizer.zero_grad()
    joints: Any = model.loss_joints
    loss = F.mse_loss(model(keypoints)[:, joints], positions[:, joints])
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(model: nn.Module, poses: Poses, batch_size: int = 64) -> tuple[float, float]:
    """Mean P1 and P2 (mm) over the poses, batch by batch, with NumPy's batched SVD."""
    model.eval()
    device = next(model.parameters()).device
    p1 = p2 = 0.0
    for keypoints, positions in batches(poses, batch_size, shuffle=False):
        predicted, target = model(keypoints.to(device)).cpu().numpy(), positions.numpy()
        predicted = predicted - predicted[:, :1]
        p1 += np.linalg.norm(predicted - target, axis=2).mean(1).sum()
        p2 += p_mpjpe(predicted, target).sum()
    return p1 / len(poses) * 1000, p2 / len(poses) * 1000


def p_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.norm(aligned(predicted, target) - target, axis=2).mean(1)


def aligned(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Umeyama's similarity fit of each pose."""
    mean_x, mean_y = target.mean(1, keepdims=True), predicted.mean(1, keepdims=True)
    x, y = target - mean_x, predicted - mean_y
    norm_x, norm_y = (np.sqrt((v ** 2).sum((1, 2), keepdims=True)) for v in (x, y))
    u, s, vt = np.linalg.svd(np.matmul((x / norm_x).transpose(0, 2, 1), y / norm_y))
    v = vt.transpose(0, 2, 1)
    sign = np.sign(np.linalg.det(np.matmul(v, u.transpose(0, 2, 1))))
    v[:, :, -1] *= sign[:, None]
    s[:, -1] *= sign
    rotation = np.matmul(v, u.transpose(0, 2, 1))
    scale = s.sum(1)[:, None, None] * norm_x / norm_y
    return scale * np.matmul(y, rotation) + mean_x
