"""The reference program: the plain networks of `models/`, trained and evaluated the obvious way.

Nothing here is slow on purpose. It has PyTorch's usual tools: a Dataset of single poses, a DataLoader that shuffles,
PyTorch's Adam, and for P-MPJPE NumPy's batched SVD. Networks run the `forward` of `models/`, without `models/fast/`.
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
from models.sem_gcn import SemGCN


def build_model(config: ModelConfig, skeleton: Skeleton) -> nn.Module:
    """The plain network of a config."""
    if config.architecture == 'linear':
        return LinearModel(len(skeleton), config.hid_dim, config.num_layers, config.dropout)
    groups = skeleton.groups if config.non_local else None
    return SemGCN(torch.from_numpy(adjacency(skeleton)), config.hid_dim, config.num_layers, groups=groups)


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
