"""The reference program: the plain networks of `models/`, trained and evaluated the obvious way.

Nothing here is slow on purpose. It has PyTorch's usual tools: a Dataset of single poses, a DataLoader that shuffles,
PyTorch's Adam, and for P-MPJPE NumPy's batched SVD. Networks run the `forward` of `models/`, without `models/fast/`.
"""

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from common.datasets.poses import Poses
from common.geometry.body import SKELETON
from common.geometry.graph import adjacency
from models.config import ModelConfig
from models.linear_model import LinearModel
from models.sem_gcn import SemGCN


class Reference:
    """The reference program, with the methods of `implementations.Program`."""

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device, self.model = device, build_model(config).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def steps(self, poses: Poses, count: int = 1) -> float:
        keypoints, positions = poses.keypoints.to(self.device), poses.positions.to(self.device)
        self.model.train()
        return sum(self.train_step(keypoints, positions) for _ in range(count)) / count

    def epoch(self, poses: Poses, batch_size: int = 64, limit: int | None = None) -> None:
        self.model.train()
        for keypoints, positions in itertools.islice(batches(poses, batch_size, shuffle=True), limit):
            self.train_step(keypoints.to(self.device), positions.to(self.device))

    def train_step(self, keypoints: Tensor, positions: Tensor) -> float:
        """Forward, backward, clip, Adam; returns the loss."""
        self.optimizer.zero_grad()
        joints: Any = self.model.loss_joints
        loss = F.mse_loss(self.model(keypoints)[:, joints], positions[:, joints])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def evaluate(self, poses: Poses) -> tuple[float, float]:
        """Mean P1 and P2 (mm) over the poses, batch by batch, with NumPy's batched SVD."""
        self.model.eval()
        p1 = p2 = 0.0
        for keypoints, positions in batches(poses, 64, shuffle=False):
            predicted, target = self.model(keypoints.to(self.device)).cpu().numpy(), positions.numpy()
            predicted = predicted - predicted[:, :1]
            p1 += np.linalg.norm(predicted - target, axis=2).mean(1).sum()
            p2 += np.linalg.norm(aligned(predicted, target) - target, axis=2).mean(1).sum()
        return p1 / len(poses) * 1000, p2 / len(poses) * 1000


def build_model(config: ModelConfig) -> nn.Module:
    """The plain network of a config."""
    if config.architecture == 'linear':
        return LinearModel(len(SKELETON), config.hid_dim, config.num_layers, config.dropout)
    groups = SKELETON.groups if config.non_local else None
    return SemGCN(torch.from_numpy(adjacency(SKELETON)), config.hid_dim, config.num_layers, groups=groups)


def batches(poses: Poses, batch_size: int, shuffle: bool) -> DataLoader:
    return DataLoader(TensorDataset(poses.keypoints, poses.positions), batch_size, shuffle)


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
