"""This program and the straightforward one behind one face, so that both are asked for the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks import straightforward
from common.datasets import h36m
from common.datasets.batches import PoseBatches
from common.datasets.poses import Poses
from common.evaluation.evaluate import evaluate, pose_errors
from common.evaluation.metrics import p_mpjpe
from common.training.augmentation import Samples
from common.training.epoch import Counters, train_epoch
from common.training.malloc import keep_freed_memory
from common.training.recipe import Recipe, Schedule
from common.training.step import TrainingStep, make_step
from models.config import ModelConfig, build_model

RECIPE = Recipe(epochs=1, snapshot=1)
NETWORKS = {
    'SemGCN': ModelConfig('gcn'),
    'non-local': ModelConfig('gcn', non_local=True),
    'linear': ModelConfig('linear', hid_dim=1024, num_layers=2, dropout=0.5),
}


class _Given:
    """Batches of an epoch that are there already."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self.batches = batches

    def epoch(self, _: int) -> Iterable[Tensor]:
        return self.batches


class Program:
    """This program: its step, its batches, its metrics."""

    name = 'this program'

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        keep_freed_memory()  # as the trainers do
        torch.manual_seed(0)
        self.device = device
        self.model = build_model(config, h36m.skeleton()).to(device)
        self.source: object = None
        self.step: TrainingStep | None = None

    def _train(self, source: object, samples: Callable[[], Callable[[Tensor], tuple[Tensor, Tensor]]],
               batches: Iterable[Tensor]) -> float:
        """Train on numbers of samples; a step is made once for each source of samples, as it may be captured."""
        if self.step is None or self.source is not source:
            self.source, self.step = source, make_step(self.model, RECIPE, samples())
        counters = Counters()
        for _ in train_epoch(self.step, _Given(batches), Schedule(), counters):
            pass
        return counters.loss

    def steps(self, batch: tuple[Tensor, Tensor], count: int = 1) -> float:
        """Take whole training steps (forward, backward, clip, Adam) on one batch; gives their mean loss."""
        numbers = torch.arange(len(batch[0]), device=self.device)
        return self._train(batch, lambda: lambda _: batch, [numbers] * count)

    def epoch(self, poses: Poses, batch_size: int = 64, limit: int | None = None) -> None:
        """Train on every pose once, in random order, or on the first `limit` batches of that order."""
        batches = PoseBatches(len(poses), batch_size, torch.Generator().manual_seed(0), self.device)
        self._train(poses, lambda: Samples(poses.to(self.device), h36m.skeleton(), RECIPE),
                    itertools.islice(batches.epoch(), limit))

    def evaluate(self, poses: Poses) -> tuple[float, float]:
        """Means of MPJPE and P-MPJPE over the poses, mm."""
        evaluation = evaluate(self.model, poses.to(self.device))
        return evaluation.pose_mpjpe, evaluation.pose_p_mpjpe

    @staticmethod
    def p_mpjpe(predicted: Tensor, target: Tensor) -> float:
        """Mean P-MPJPE of (N, J, 3) metres, mm."""
        return pose_errors(predicted, target, p_mpjpe).mean().item()


class Straightforward:
    """What one writes from the paper; methods as of `Program`."""

    name = 'straightforward'

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.model = straightforward.build_model(config, h36m.skeleton()).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def steps(self, batch: tuple[Tensor, Tensor], count: int = 1) -> float:
        self.model.train()
        losses = [straightforward.train_step(self.model, self.optimizer, *batch) for _ in range(count)]
        return sum(losses) / count

    def epoch(self, poses: Poses, batch_size: int = 64, limit: int | None = None) -> None:
        self.model.train()
        for keypoints, positions in itertools.islice(straightforward.batches(poses, batch_size), limit):
            straightforward.train_step(self.model, self.optimizer, keypoints.to(self.device),
                                       positions.to(self.device))

    def evaluate(self, poses: Poses) -> tuple[float, float]:
        return straightforward.evaluate(self.model, poses)

    @staticmethod
    def p_mpjpe(predicted: Tensor, target: Tensor) -> float:
        return straightforward.mean_p_mpjpe(predicted.numpy(), target.numpy())


SIDES = (Straightforward, Program)


def random_poses(count: int, seed: int = 0) -> Poses:
    """Bodies about as large as people, with keypoints that have to do with them."""
    generator = torch.Generator().manual_seed(seed)
    skeleton = h36m.skeleton()
    positions = torch.zeros(count, len(skeleton), 3)
    for parent, child in skeleton.bones:
        positions[:, child] = positions[:, parent] + torch.randn(count, 3, generator=generator) * 0.15
    keypoints = positions[..., :2] / 4 + torch.randn(count, 1, 2, generator=generator) * 0.2
    zeros = torch.zeros(count, dtype=torch.long)
    return Poses(keypoints, positions, torch.zeros(count, 3), zeros, zeros, kind_names=['Walking'], cameras=[])
