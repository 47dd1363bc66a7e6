"""Batches: an epoch is a random order of the poses' numbers, and a batch is a few of them in a row."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class PoseBatches:
    """Numbers of poses in batches of a random order, a new one each epoch.

    The last batch is smaller, as published. A last batch of a single pose joins the one before it: batch norm has no
    statistics of a single sample.

    Args:
        count: poses in the set.
        batch_size: poses a batch.
        generator: of the order.
        device: where the batches are wanted.
    """

    def __init__(self, count: int, batch_size: int, generator: torch.Generator, device: torch.device) -> None:
        self.count, self.batch_size, self.generator, self.device = count, batch_size, generator, device
        self._before = generator.get_state()

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._batches(self.count)

    def _batches(self, poses: int) -> int:
        batches, rest = divmod(poses, self.batch_size)
        return batches + (rest > 1 or (rest == 1 and not batches))

    def epoch(self, seen: int = 0) -> Iterator[Tensor]:
        """Draw an epoch and give its batches, (B,) each, after the first `seen` poses."""
        self._before = self.generator.get_state()
        order = torch.randperm(self.count, generator=self.generator).to(self.device)[seen:]
        for index in range(batches := self._batches(len(order))):
            last = index == batches - 1
            yield order[index * self.batch_size:None if last else (index + 1) * self.batch_size]

    def state(self, seen: int) -> Tensor:
        """The generator's state from which the epoch of which `seen` poses were seen can be drawn again."""
        return self._before if seen else self.generator.get_state()
