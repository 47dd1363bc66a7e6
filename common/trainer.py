"""A run from its data to its last checkpoint: training, resuming and evaluating, the same for every network."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common import checkpoint as checkpoints
from common import engine
from common.checkpoint import Checkpoint
from common.data_utils import DataOptions, measure_range, warn
from common.errors import UserError
from common.generators import PoseBatches
from common.log import Progress, RunLog, TensorBoard, draw_curves, make_run_folder
from common.prepared import Data
from common.report import print_table, write_report
from models import ModelConfig, build_model


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training: as the flags of the same names. They are kept in the checkpoint."""

    epochs: int
    snapshot: int
    batch_size: int = 64
    lr: float = 1e-3
    lr_decay: int = 100_000
    lr_gamma: float = 0.96
    max_norm: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Output:
    """Where a run's files go: as the flags of the same names."""

    checkpoint: str = 'checkpoint'
    report: str | None = None
    tensorboard: bool = False


def evaluate_checkpoint(path: str, architecture: str, flags: dict[str, Any], data_options: DataOptions,
                        device: torch.device, report: str | None) -> None:
    """Score a checkpoint on the test subjects, action by action.

    Args:
        architecture: the network that the script is for.
        flags: values of ModelConfig attributes given on the command line.
        report: JSON file to write, or None.
    Raises:
        UserError: the checkpoint or the data cannot be used, or the flags contradict the checkpoint.
    """
    checkpoint = load(path, architecture, flags)
    data = Data(data_options)
    model = checkpoints.restore_model(checkpoint, path, data.dataset.skeleton).to(device)
    test = data.test().to(device)
    mean_pose = data.mean_pose()
    print(f'{path}: {checkpoint.config.describe()}, {count_parameters(model):,} parameters, {checkpoint.epoch} epochs')
    started = time.monotonic()
    with Progress('evaluating', len(test)) as progress:
        evaluation = engine.evaluate(model, test, None if mean_pose is None else mean_pose.to(device), progress)
    print(f'{len(test):,} poses of {", ".join(data.dataset.test_subjects)} in {time.monotonic() - started:.1f} s '
          f'on {device}')
    _tell(evaluation, report, path, checkpoint.config, data_options)


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


class Training:
    """One training run: made from a config, or from a checkpoint to go on with.

    Args:
        config: the network.
        recipe: hyper-parameters.
        data_options: which data.
        device: where to compute.
        output: where files go.
        resume: path and content of the checkpoint to go on from.
    Raises:
        UserError: the data or the checkpoint cannot be used.
    """

    def __init__(self, config: ModelConfig, recipe: Recipe, data_options: DataOptions, device: torch.device,
                 output: Output, resume: tuple[str, Checkpoint] | None = None) -> None:
        self.config, self.recipe, self.output, self.device = config, recipe, output, device
        self.data = Data(data_options)
        self.train_poses, self.test_poses = self.data.train(), self.data.test().to(device)
        if len(self.train_poses) < 2:
            raise UserError('a single pose cannot train a network with batch norm: use more actions or a smaller '
                            '--downsample.')
        torch.manual_seed(recipe.seed)
        self.order = torch.Generator().manual_seed(recipe.seed)
        self.epoch, self.step, self.best = 0, 0, math.inf
        self.evaluation: engine.Evaluation | None = None
        if resume is None:
            self.model = build_model(config, self.data.dataset.skeleton).to(device)
            self.optimizer = engine.make_optimizer(self.model, recipe.lr)
            self.folder = make_run_folder(output.checkpoint)
        else:
            self._restore(*resume)
        self.batches = PoseBatches(self.train_poses, recipe.batch_size, self.order, device)
        mean_pose = self.data.mean_pose(self.train_poses)
        self.mean_pose = None if mean_pose is None else mean_pose.to(device)
        self.keypoints_range = measure_range(self.train_poses.keypoints.numpy())
        self.schedule = engine.Schedule(recipe.lr, recipe.lr_decay, recipe.lr_gamma)
        self.log = RunLog(self.folder, self.epoch)
        self.tensorboard = TensorBoard(self.folder, self.epoch) if output.tensorboard else None

    def run(self) -> None:
        """Train to the last epoch; evaluate, log and save after each."""
        print(f'{self.config.describe()}, {count_parameters(self.model):,} parameters, on {self.device}: '
              f'{len(self.train_poses):,} poses to train, {len(self.test_poses):,} to test; files go to {self.folder}')
        try:
            while self.epoch < self.recipe.epochs:
                self._epoch()
        except KeyboardInterrupt:
            if os.path.exists(os.path.join(self.folder, checkpoints.LAST)):
                print(f'\nStopped after epoch {self.epoch}; add to the command, to go on: '
                      f'--resume {os.path.join(self.folder, checkpoints.LAST)}')
            raise
        finally:
            if self.tensorboard:
                self.tensorboard.close()
        draw_curves(self.log.rows, os.path.join(self.folder, 'log.png'))
        assert self.evaluation is not None
        _tell(self.evaluation, self.output.report, os.path.join(self.folder, checkpoints.LAST), self.config,
              self.data.options)

    def _epoch(self) -> None:
        started = time.monotonic()
        label = f'epoch {self.epoch + 1}/{self.recipe.epochs}'
        with Progress(label, len(self.train_poses)) as progress:
            loss, self.step = engine.train_one_epoch(
                self.model, self.batches, self.optimizer, self.schedule, self.step,
                1.0 if self.recipe.max_norm else None, progress)
        trained = time.monotonic() - started
        with Progress(f'{label} evaluation', len(self.test_poses)) as progress:
            self.evaluation = engine.evaluate(self.model, self.test_poses, self.mean_pose, progress)
        p1, p2 = self.evaluation.pose_mpjpe, self.evaluation.pose_p_mpjpe
        self.epoch += 1
        is_best = p1 < self.best
        self.best = min(p1, self.best)

        row = (self.epoch, engine.learning_rate(self.optimizer), loss, p1, p2)
        self.log.append(row)
        if self.tensorboard:
            self.tensorboard.append(row)
        self._save(p1, is_best)
        print(f'{label}: loss {loss:.6f}, MPJPE {p1:.2f}, P-MPJPE {p2:.2f} mm over all test poses, '
              f'{trained:.1f} s ({len(self.train_poses) / trained:,.0f} poses/s){", best so far" if is_best else ""}',
              flush=True)

    def _save(self, error: float, is_best: bool) -> None:
        options = self.data.options
        checkpoint = Checkpoint(
            epoch=self.epoch, lr=engine.learning_rate(self.optimizer), step=self.step,
            state_dict=self.model.state_dict(), optimizer=self.optimizer.state_dict(), error=error, config=self.config,
            best_error=self.best, random=self._random_states(), keypoints_range=self.keypoints_range,
            recipe={**dataclasses.asdict(self.recipe), 'dataset': options.dataset, 'keypoints': options.keypoints,
                    'actions': None if options.actions is None else list(options.actions),
                    'downsample': options.downsample})
        names = [checkpoints.LAST]
        if self.epoch % self.recipe.snapshot == 0:
            names.append(checkpoints.snapshot_name(self.epoch))
        if is_best:
            names.append(checkpoints.BEST)
        for name in names:
            checkpoint.save(os.path.join(self.folder, name))

    def _random_states(self) -> dict[str, Tensor]:
        states = {'torch': torch.get_rng_state(), 'order': self.order.get_state()}
        if self.device.type == 'cuda':
            states['cuda'] = torch.cuda.get_rng_state(self.device)
        return states

    def _restore(self, path: str, checkpoint: Checkpoint) -> None:
        if checkpoint.epoch >= self.recipe.epochs:
            raise UserError(f'{path} has been trained for {checkpoint.epoch} epochs already: give a larger --epochs '
                            f'than {self.recipe.epochs} to go on.')
        self.model = checkpoints.restore_model(checkpoint, path, self.data.dataset.skeleton,
                                               self.config.dropout).to(self.device)
        self.optimizer = engine.make_optimizer(self.model, self.recipe.lr)
        checkpoints.restore_optimizer(self.optimizer, checkpoint, path)
        self.epoch, self.step, self.best = checkpoint.epoch, checkpoint.step, checkpoint.best_error
        self._restore_random(path, checkpoint.random)
        folder = os.path.dirname(path) or os.curdir
        own = os.path.exists(os.path.join(folder, 'log.txt'))  # a published file may lie among others: leave its folder
        self.folder = folder if own else make_run_folder(self.output.checkpoint)

    def _restore_random(self, path: str, states: dict[str, Tensor]) -> None:
        if not states:
            warn(f'{path} holds no random states: the run goes on in an order of its own.')
            return
        try:
            torch.set_rng_state(states['torch'])
            self.order.set_state(states['order'])
            if self.device.type == 'cuda' and 'cuda' in states:
                torch.cuda.set_rng_state(states['cuda'], self.device)
        except (KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise UserError(f'{path} holds random states that cannot be used: {error}.') from error


def _tell(evaluation: engine.Evaluation, report: str | None, path: str, config: ModelConfig,
          options: DataOptions) -> None:
    print_table(evaluation)
    if report:
        write_report(report, evaluation, {'checkpoint': path, 'network': config.as_dict(), 'dataset': options.dataset,
                                          'keypoints': options.keypoints, 'downsample': options.downsample})
