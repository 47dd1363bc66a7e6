"""What a training script prints and writes at its end: the errors of a checkpoint, or of a run."""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from common import checkpoint as checkpoints
from common import distributed
from common.checkpoint import Checkpoint
from common.datasets.splits import Data
from common.datasets.visibility import warn_of_mirror_images
from common.errors import listing, warn
from common.evaluation.cost import cost
from common.evaluation.evaluate import EvaluationOptions, evaluate, input_poses, with_baseline, with_values
from common.evaluation.further import root_errors, with_hidden_joints
from common.evaluation.metrics import MRPE
from common.evaluation.report import ReportOptions, pck_joints, print_evaluation, print_table, write_predictions
from common.geometry.mirror import mirror_at_evaluation
from common.progress import progress_bar
from common.training import arguments
from common.training.log import RunLog, draw_curves

if TYPE_CHECKING:
    from common.training.run import Trainer


def report_checkpoint(model: nn.Module, checkpoint: Checkpoint, path: str, data: Data,
                      args: argparse.Namespace) -> None:
    """Evaluate a checkpoint on the test subjects, print its errors and write what the flags ask for.

    Args:
        model: the checkpoint's network, on its device.
        path: of the checkpoint.
    Raises:
        UserError: the data cannot be used.
    """
    options, virtual = arguments.report_options(args), arguments.virtual_cameras(args)
    device = next(model.parameters()).device
    fewest = 0.0 if virtual else checkpoint.fewest_visible
    test = data.test(fewest).to(device)
    to_input = partial(input_poses, data=data, window=checkpoint.config.window, normalization=checkpoint.normalization,
                       virtual=virtual, fewest=fewest)
    poses = to_input(test)
    warn_of_training_subjects(checkpoint, path, data)
    if mirror := mirror_at_evaluation(args.tta, data.skeleton, device):
        warn_of_mirror_images(poses)
    print(f'{path}: {checkpoint.config.describe()}, {cost(model, poses.keypoints)}, {checkpoint.epoch} epochs')
    started = time.monotonic()
    with progress_bar('evaluating', len(poses)) as bar:
        evaluation = evaluate(model, poses, EvaluationOptions(
            options.metrics(data.spec, moving=not virtual), mirror,
            pck_joints(data.spec), bool(options.predictions or options.root), lambda done: bar.update(done - bar.n)))
    print(f'{len(poses):,} poses of {", ".join(data.test_subjects)} in {time.monotonic() - started:.1f} s on {device}')
    about: dict[str, Any] = {'checkpoint': path, 'network': checkpoint.config.as_dict(), 'epoch': checkpoint.epoch,
                             'tta': args.tta}
    if evaluation.predictions is not None and options.predictions:
        write_predictions(options.predictions, evaluation.predictions, poses, data.skeleton)
    if evaluation.predictions is not None and options.root:
        evaluation = with_values(evaluation, poses, 'mrpe_mm', MRPE, root_errors(evaluation.predictions, test))
    for share in options.missing:
        hidden = evaluate(model, to_input(with_hidden_joints(test, share, fewest))).action_average
        print(f'{share:.0%} of the joints hidden: MPJPE {hidden["mpjpe_mm"]:.2f}, P-MPJPE {hidden["p_mpjpe_mm"]:.2f} '
              f'(mm) action-wise average')
        about.setdefault('missing', {})[f'{share:g}'] = hidden
    print_evaluation(with_baseline(evaluation, poses, None if virtual else data.mean_pose()), data, options, about)


def warn_of_training_subjects(checkpoint: Checkpoint, path: str, data: Data) -> None:
    """Warn of test subjects on which a checkpoint was trained, as its own recipe states."""
    recipe = checkpoint.recipe
    if recipe.get('dataset') == data.options.dataset:
        kept_out = recipe.get('val_subjects') or ()
        trained = set(recipe.get('train_subjects') or data.spec.train_subjects) - set(kept_out)
        if both := [subject for subject in data.test_subjects if subject in trained]:
            warn(f'{path} was trained on the test subjects {listing(both)}: errors on them are too low.')


def report_run(trainer: Trainer, options: ReportOptions) -> None:
    """Print the errors of the last epoch; with validation subjects, first the errors of the chosen epoch.

    Where validation subjects choose the epoch, the test subjects are evaluated here for the first time.
    """
    data, last, poses = trainer.data, trainer.evaluation, trainer.poses
    curves, log = trainer.path('log.png'), RunLog(trainer.folder, trainer.training.progress.epoch)
    if not distributed.rank() and log.rows and (last or not os.path.exists(curves)):
        draw_curves(log.rows, curves)
    metrics = options.metrics(data.spec, moving=not trainer.recipe.virtual)
    about: dict[str, Any] = {'checkpoint': trainer.last, 'network': trainer.config.as_dict(),
                             'epoch': trainer.training.progress.epoch}
    if data.options.val_subjects:
        poses, last = trainer.as_input(data.test(trainer.fewest)), None
        best = distributed.from_first(partial(_load_if_there, trainer.path(checkpoints.BEST)))
        if best:  # a resumed run may not have found a better epoch than the run before it
            network = checkpoints.restore_model(best, checkpoints.BEST, data.skeleton).to(trainer.device)
            print(f'Epoch {best.epoch}, chosen on {", ".join(data.options.val_subjects)}:')
            chosen = with_baseline(trainer.evaluate(network, poses, 'chosen epoch'), poses, trainer.mean_pose)
            print_table(chosen)
            about['chosen'] = {'epoch': best.epoch, 'on': list(data.options.val_subjects), **chosen.action_average}
        print(f'Epoch {trainer.training.progress.epoch}, the last:')
    if last is None or set(metrics) - set(last.metrics):
        last = trainer.evaluate(trainer.network, poses, 'last epoch', metrics)
    print_evaluation(with_baseline(last, poses, trainer.mean_pose), data, options, about)


def _load_if_there(path: str) -> Checkpoint | None:
    return checkpoints.load_checkpoint(path) if os.path.exists(path) else None
