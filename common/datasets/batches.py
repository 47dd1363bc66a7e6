"""Batches: an epoch is a random permutation of the poses' indices, and a batch is a slice of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class PoseBatches:
    """Batches of pose indices in a random order, which changes in each epoch.

    The last batch is smaller, as published. A last batch of a single pose is joined to the batch before it, because
    batch norm has no statistics of a single sample.

    Args:
        count: number of poses in the set.
        batch_size: number of poses in a batch.
        generator: draws the order.
        device: where the batches are put.
    """

    def __init__(self, count: int, batch_size: int, generator: torch.Generator, device: torch.device) -> None:
        self.count, self.batch_size, self.generator, self.device = count, batch_size, generator, device
        self._before = generator.get_state()

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self._batches(self.count)

    def _batches(self, poses: int) -> int:
        batches, rest = divmod(poses, self.batch_size)
        return batches + (rest > 1 or (rest == 1 and not batches))

    def epoch(self, seen: int = 0) -> Iterator[Tensor]:
        """Draw an epoch and yield its batches, (B,) each, after the first `seen` poses."""
        self._before = self.generator.get_state()
        order = torch.randperm(self.count, generator=self.generator).to(self.device)[seen:]
        for index in range(batches := self._batches(len(order))):
            last = index == batches - 1
            yield order[index * self.batch_size:None if last else (index + 1) * self.batch_size]

    def state(self, seen: int) -> Tensor:
        """The generator's state that draws the current epoch again, or the next one if no pose of it was seen."""
        return self._before if seen else self.generator.get_state()
