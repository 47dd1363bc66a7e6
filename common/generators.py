"""Batches: the whole set lies on the device as tensors, and a batch is one index_select of each."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from common.data_utils import Poses


class PoseBatches:
    """Poses in batches of a random order, a new one each epoch.

    The last batch is smaller, as published. A last batch of a single pose joins the one before it: batch norm has no
    statistics of a single sample.

    Args:
        poses: the set; moved to `device`.
        batch_size: poses a batch.
        generator: of the order; its state belongs into checkpoints.
    """

    def __init__(self, poses: Poses, batch_size: int, generator: torch.Generator, device: torch.device) -> None:
        self.poses = poses.to(device)
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        """Batches in an epoch."""
        batches, rest = divmod(len(self.poses), self.batch_size)
        return max(batches + (rest > 1), 1)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (keypoints (B, J, 2), positions (B, J, 3))."""
        order = torch.randperm(len(self.poses), generator=self.generator).to(self.poses.keypoints.device)
        for index in range(len(self)):
            last = index == len(self) - 1
            batch = order[index * self.batch_size:None if last else (index + 1) * self.batch_size]
            yield self.poses.keypoints.index_select(0, batch), self.poses.positions.index_select(0, batch)
