"""Evaluating a checkpoint on the test subjects, and reporting the results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from common import checkpoint as checkpoints
from common.checkpoint import Checkpoint
from common.datasets.mocap import DatasetSpec
from common.datasets.poses import Poses
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualCameras, virtual_views
from common.errors import UserError
from common.evaluation.cost import cost
from common.evaluation.evaluate import METRICS, PROTOCOLS, VELOCITY, Evaluation, evaluate
from common.evaluation.report import (
    PCK_METRICS,
    print_pck,
    print_table,
    print_tables_by,
    write_predictions,
    write_report,
)
from common.geometry.mirror import mirror_at_evaluation
from common.progress import Progress
from models.config import ModelConfig


def evaluate_checkpoint(model: nn.Module, checkpoint: Checkpoint, path: str, data: Data, device: torch.device,
                        report: str | None = None, tta: str = 'off', by: Sequence[str] = (),
                        predictions: str | None = None, virtual: VirtualCameras | None = None) -> None:
    """Evaluate a checkpoint on the test subjects.

    Args:
        model: the checkpoint's network, on the device.
        path: of the checkpoint.
        report: JSON file to write, or None.
        tta: 'flip' to average over each pose and its mirror image, else 'off'.
        by: further tables, of `report.BY`.
        predictions: file to write every pose to, or None.
        virtual: of virtual cameras in place of the data set's own.
    Raises:
        UserError: the data cannot be used.
    """
    test = network_poses(data.test().to(device), data, checkpoint.config.window, checkpoint.normalization, virtual)
    mean_pose, spec = None if virtual else data.mean_pose(), data.spec
    print(f'{path}: {checkpoint.config.describe()}, {cost(model, test.keypoints)}, {checkpoint.epoch} epochs')
    metrics = metrics_for(spec, report, by, virtual is not None)
    lifted = torch.zeros(test.positions.shape) if predictions else None
    started = time.monotonic()
    with Progress('evaluating', len(test)) as progress:
        evaluation = evaluate(model, test, None if mean_pose is None else mean_pose.to(device), progress,
                              mirror_at_evaluation(tta, data.skeleton, device), metrics, pck_joints(spec), lifted)
    print(f'{len(test):,} poses of {", ".join(data.test_subjects)} in {time.monotonic() - started:.1f} s '
          f'on {device}')
    if predictions and lifted is not None:
        write_predictions(predictions, lifted, test, data.skeleton)
    print_and_write(evaluation, data, path, checkpoint.config, report, {'epoch': checkpoint.epoch, 'tta': tta}, by)


def print_and_write(evaluation: Evaluation, data: Data, path: str, config: ModelConfig, report: str | None,
                    about: dict[str, Any], by: Sequence[str] = ()) -> None:
    """Print the tables of an evaluation and write its report, if any.

    Args:
        path, config: of the checkpoint.
        about: further entries of the report.
        by: further tables, of `report.BY`.
    """
    print_tables_by(by, evaluation, data.skeleton)
    if data.spec.pck_joints:
        print_pck(evaluation, data.skeleton)
    print_table(evaluation, PCK_METRICS if data.spec.pck_joints else PROTOCOLS)
    if report:
        options = data.options
        write_report(report, evaluation, data.skeleton, {
            'checkpoint': path, 'network': config.as_dict(), 'dataset': options.dataset,
            'keypoints': options.keypoints, 'downsample': options.downsample, **about})


def metrics_for(spec: DatasetSpec, report: str | None, by: Sequence[str] = (), virtual: bool = False) -> list[str]:
    """The metrics that an evaluation must compute for the requested output.

    Args:
        virtual: each pose has its own camera, so there is no motion from pose to pose to compare.
    """
    metrics = METRICS if report or by or spec.pck_joints else PROTOCOLS
    return [metric for metric in metrics if not (virtual and metric == VELOCITY)]


def pck_joints(spec: DatasetSpec) -> list[int]:
    """Indices of the joints that count for PCK on a data set; empty if it names none."""
    return [spec.skeleton.names.index(name) for name in spec.pck_joints]


def network_poses(poses: Poses, data: Data, window: int, normalization: str, virtual: VirtualCameras | None) -> Poses:
    """Poses with the keypoints that a network expects.

    Args:
        window, normalization: of the network's checkpoint.
        virtual: of virtual cameras; None for the cameras of the dataset.
    Raises:
        UserError: virtual cameras are asked for, but the network was not trained with them.
    """
    if virtual and normalization != 'person':
        raise UserError('--virtual is for networks that were trained with it; leave the flag out to evaluate this one.')
    if virtual:
        seen = virtual_views(poses, data.skeleton, window, data.fps, virtual)
        return replace(seen, sequences=[sequence._replace(camera='virtual') for sequence in poses.sequences])
    return poses.as_person(window, data.fps) if normalization == 'person' else poses


def load(path: str, architecture: str, flags: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint for a script that is for one architecture."""
    checkpoint = checkpoints.load_checkpoint(path)
    if checkpoint.config.architecture != architecture:
        raise UserError(f'{path} holds a {checkpoint.config.describe()}: use main_{checkpoint.config.architecture}.py.')
    checkpoints.check_flags(checkpoint, path, flags)
    return checkpoint
