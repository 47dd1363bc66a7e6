"""Scoring a checkpoint on the test subjects, and telling what came out."""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch
from torch import nn

from common import checkpoint as checkpoints
from common import distributed
from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.datasets.loading import DataOptions
from common.datasets.poses import Poses
from common.datasets.splits import Data
from common.datasets.virtual.samples import virtual_views
from common.errors import UserError
from common.evaluation.evaluate import Evaluation, evaluate
from common.evaluation.report import print_table, write_report
from common.geometry.mirror import mirror_at_evaluation
from common.progress import Progress
from models.config import ModelConfig


def evaluate_checkpoint(model: nn.Module, checkpoint: Checkpoint, path: str, data: Data, device: torch.device,
                        report: str | None, tta: str = 'off', virtual: VirtualFlags | None = None) -> None:
    """Score a checkpoint on the test subjects, action by action.

    Args:
        model: the checkpoint's network, on the device.
        path: of the checkpoint.
        report: JSON file to write, or None.
        tta: 'flip' to average over each pose and its mirror image, else 'off'.
        virtual: for virtual cameras in place of the dataset's own.
    Raises:
        UserError: the data cannot be used.
    """
    test = network_poses(data.test().to(device), data, checkpoint.config.window, checkpoint.normalization, virtual)
    mean_pose = None if virtual else data.mean_pose()
    print(f'{path}: {checkpoint.config.describe()}, {count_parameters(model):,} parameters, {checkpoint.epoch} epochs')
    started = time.monotonic()
    with Progress('evaluating', len(test)) as progress:
        evaluation = evaluate(model, test, None if mean_pose is None else mean_pose.to(device), progress,
                              mirror_at_evaluation(tta, data.skeleton, device))
    print(f'{len(test):,} poses of {", ".join(data.test_subjects)} in {time.monotonic() - started:.1f} s '
          f'on {device}')
    tell(evaluation, report, path, checkpoint.config, data.options, {'epoch': checkpoint.epoch, 'tta': tta})


class VirtualFlags(Protocol):
    """The flags of virtual cameras that an evaluation needs: of `common.datasets.virtual.samples.Wild`."""

    @property
    def pitch(self) -> float: ...

    @property
    def detector_noise(self) -> float: ...


def network_poses(poses: Poses, data: Data, window: int, normalization: str, virtual: VirtualFlags | None) -> Poses:
    """Poses with the keypoints that a network takes.

    Args:
        window, normalization: of the network's checkpoint.
        virtual: None for the cameras of the dataset.
    Raises:
        UserError: the network does not take what virtual cameras see.
    """
    if virtual and normalization != 'person':
        raise UserError('--virtual is for networks that were trained with it; leave the flag out to evaluate this one.')
    if virtual:
        return virtual_views(poses, data.skeleton, window, data.fps, virtual.pitch, virtual.detector_noise)
    return poses.as_person(window, data.fps) if normalization == 'person' else poses


def load(path: str, architecture: str, flags: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint for a script that is for one architecture."""
    checkpoint = checkpoints.load_checkpoint(path)
    if checkpoint.config.architecture != architecture:
        script = {'gcn': 'main_gcn.py', 'linear': 'main_linear.py'}[checkpoint.config.architecture]
        raise UserError(f'{path} holds a {checkpoint.config.describe()}: use {script}.')
    checkpoints.check_flags(checkpoint, path, flags)
    return checkpoint


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def tell(evaluation: Evaluation, report: str | None, path: str, config: ModelConfig, options: DataOptions,
         about: dict[str, Any]) -> None:
    """Print an evaluation's table and, where a `report` is asked for, write it.

    Args:
        path: of the checkpoint.
        about: what else the report is to hold.
    """
    print_table(evaluation)
    if report and not distributed.rank():
        write_report(report, evaluation, h36m.skeleton(), {
            'checkpoint': path, 'network': config.as_dict(), 'dataset': options.dataset,
            'keypoints': options.keypoints, 'downsample': options.downsample, **about})
