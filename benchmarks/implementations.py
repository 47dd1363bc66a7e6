"""This program and the reference program with one interface, and the poses that both get."""

import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from benchmarks.reference import Reference
from common.datasets.batches import PoseBatches
from common.datasets.poses import Poses
from common.evaluation.evaluate import evaluate
from common.geometry.body import SKELETON
from common.malloc import keep_freed_memory
from common.training.augmentation import AugmentedSamples
from common.training.engine import Training, train_epoch
from common.training.recipe import Recipe
from models.config import ModelConfig, build_model

RECIPE = Recipe(epochs=1, snapshot=1)
NETWORKS = {
    'SemGCN': ModelConfig('gcn'),
    'non-local': ModelConfig('gcn', non_local=True),
    'linear': ModelConfig('linear', hid_dim=1024, num_layers=2, dropout=0.5),
}


class FixedBatches(PoseBatches):
    """Given batches in place of a random order."""

    def __init__(self, batches: Iterable[Tensor], device: torch.device) -> None:
        super().__init__(0, RECIPE.batch_size, torch.Generator(), device)
        self.batches = batches

    def epoch(self, seen: int = 0) -> Iterator[Tensor]:
        return iter(self.batches)


class Program:
    """This program: its training step, its batches, its evaluation."""

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        keep_freed_memory()  # as the training scripts do
        torch.manual_seed(0)
        self.device = device
        self.model = build_model(config, SKELETON).to(device)
        self.training: Training | None = None

    def steps(self, poses: Poses, count: int = 1) -> float:
        """Take whole training steps (gather, forward, backward, clip, Adam) on one batch; returns their mean loss."""
        return self._train(poses, [torch.arange(len(poses), device=self.device)] * count)

    def epoch(self, poses: Poses, batch_size: int = 64, limit: int | None = None) -> None:
        """Train on every pose once, in random order, or on the first `limit` batches of that order."""
        batches = PoseBatches(len(poses), batch_size, torch.Generator().manual_seed(0), self.device)
        self._train(poses, itertools.islice(batches.epoch(), limit))

    def evaluate(self, poses: Poses) -> tuple[float, float]:
        """Means of MPJPE and P-MPJPE over the poses, mm."""
        mean = evaluate(self.model, poses.to(self.device)).mean()
        return mean['mpjpe_mm'], mean['p_mpjpe_mm']

    def _train(self, poses: Poses, batches: Iterable[Tensor]) -> float:
        given = FixedBatches(batches, self.device)
        samples = AugmentedSamples(poses.to(self.device), SKELETON, RECIPE)
        self.training = self.training or Training(self.model, RECIPE, given, samples)
        self.training.batches, self.training.samples = given, samples
        self.training.progress.next_epoch()
        train_epoch(self.training, lambda: None)
        return self.training.progress.loss


IMPLEMENTATIONS = {'reference': Reference, 'program': Program}


def random_poses(count: int, seed: int = 0) -> Poses:
    """Random bodies about as large as people, with keypoints that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    positions = torch.zeros(count, len(SKELETON), 3)
    for parent, child in SKELETON.bones:
        positions[:, child] = positions[:, parent] + torch.randn(count, 3, generator=generator) * 0.15
    keypoints = positions[..., :2] / 4 + torch.randn(count, 1, 2, generator=generator) * 0.2
    zeros = torch.zeros(count, dtype=torch.long)
    return Poses(keypoints, positions, torch.zeros(count, 3), zeros, zeros, kind_names=['Walking'], cameras=[])
