"""A run of a training script: it evaluates a checkpoint, continues a training, or starts one."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import signal
import time
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm

from common import checkpoint as checkpoints
from common import distributed
from common.arguments import resolve_device
from common.checkpoint import Checkpoint, restore_model
from common.datasets.batches import PoseBatches
from common.datasets.poses import Poses, measure_range
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualSamples
from common.datasets.visibility import warn_of_mirror_images
from common.errors import UserError, listing, warn
from common.evaluation.cost import cost
from common.evaluation.evaluate import Evaluation, EvaluationOptions, evaluate, input_poses
from common.evaluation.metrics import PROTOCOLS, Metric
from common.evaluation.report import pck_joints
from common.flags import Parser
from common.geometry.mirror import mirror_at_evaluation
from common.malloc import keep_freed_memory
from common.progress import progress_bar
from common.training import arguments
from common.training.arguments import Output
from common.training.augmentation import AugmentedSamples
from common.training.engine import Samples, Training, train_epoch
from common.training.initialise import initialise_from
from common.training.log import RunLog, make_run_folder
from common.training.recipe import Recipe
from common.training.results import report_checkpoint, report_run
from common.training.resume import resume
from common.training.signals import Signals
from data.prepare_data_demo import make_if_missing
from models.config import ModelConfig, build_model, network_flags


def run(parser: Parser, architecture: str) -> None:
    """Do what the command line asks for.

    Raises:
        UserError: it cannot be done.
        SystemExit: a signal ended the training, after everything was saved; the status is 128 plus its number.
    """
    args = arguments.parse_args(parser, architecture)
    keep_freed_memory()
    device = distributed.start(resolve_device(args.device))
    torch.manual_seed(args.seed)

    if args.evaluate:
        checkpoint = load(args.evaluate, architecture, network_flags(args.typed))
        data = open_data(args)
        model = restore_model(checkpoint, args.evaluate, data.skeleton).to(device)
        report_checkpoint(model, checkpoint, args.evaluate, data, args)
        return

    if args.resume:
        checkpoint = load(args.resume, architecture, network_flags(args.typed))
        arguments.take_flags_from(checkpoint, args.resume, args)
        data, config = open_data(args), checkpoint.config
        model = restore_model(checkpoint, args.resume, data.skeleton, averaged=False)
        trainer = Trainer(model, config, arguments.recipe(args), data, device, arguments.output(args))
        resume(trainer, checkpoint, args.resume)
    else:
        initial = load(args.init, architecture) if args.init else None
        if initial:
            arguments.take_network_from(initial, args.init, args)
        data, config = open_data(args), arguments.model_config(architecture, args)
        model = build_model(config, data.skeleton)
        if initial and (missed := initialise_from(model, initial, args.init, data.skeleton)):
            warn(f'{args.init} lacks some weights, which start at random: {listing(missed)}.')
        trainer = Trainer(model, config, arguments.recipe(args), data, device, arguments.output(args))
    trainer.train()
    report_run(trainer, arguments.report_options(args))


def open_data(args: argparse.Namespace) -> Data:
    make_if_missing(args.dataset, args.data_dir)
    return Data(arguments.data_options(args))


def load(path: str, architecture: str, flags: dict[str, object] | None = None) -> Checkpoint:
    """Read a checkpoint for a script that is for one architecture; typed network flags must not contradict it."""
    checkpoint = checkpoints.load_checkpoint(path)
    if checkpoint.config.architecture != architecture:
        raise UserError(f'{path} holds a {checkpoint.config.describe()}: use main_{checkpoint.config.architecture}.py.')
    checkpoints.check_flags(checkpoint, path, flags or {})
    return checkpoint


class Trainer:
    """Trains a network up to the last epoch of a recipe. `resume.resume` lets it continue an earlier run.

    Args:
        model: the network, initialised; it is moved to the device.
        config: describes the network in checkpoints.
        recipe: hyper-parameters.
        data: the poses to train and evaluate on.
        device: where to compute.
        output: where to write files.
    Attributes:
        training: what a step uses and changes.
        poses: to evaluate on after each epoch, as the network takes them.
        evaluation: of the last epoch; None before one.
        error, best_error: of the last epoch and of the best, mean over `poses`, mm.
        mean_pose: (J, 3) of synthetic training data, a baseline; None for other data.
        folder: of the run; empty before it is made.
        last: path of the checkpoint that holds the run's last state.
    Raises:
        UserError: the data cannot be used.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, recipe: Recipe, data: Data, device: torch.device,
                 output: Output) -> None:
        self.config, self.recipe, self.data, self.device, self.output = config, recipe, data, device, output
        if recipe.batch_size == 1 and config.architecture == 'linear':
            raise UserError('-b 1 cannot train the linear model: its batch norms need two poses a step or more.')
        train = data.train(self.fewest)
        if len(train) < 2:
            raise UserError('a single pose cannot train a network with batch norm: use more actions or a smaller '
                            '--downsample.')
        self.poses = self.as_input((data.validation if data.options.val_subjects else data.test)(self.fewest))
        self.purpose = 'validate' if data.options.val_subjects else 'test'
        self.mean_pose = None if recipe.virtual else data.mean_pose(train)
        self.mirror = mirror_at_evaluation(recipe.tta, data.skeleton, device)
        if self.mirror:
            warn_of_mirror_images(self.poses)
        self.keypoints_range = measure_range(train.keypoints.numpy())
        batches = PoseBatches(len(train), recipe.batch_size, torch.Generator().manual_seed(recipe.seed), device)
        self.training = Training(model.to(device), recipe, batches, self._samples(train.to(device)),
                                 data.skeleton)
        self.evaluation: Evaluation | None = None
        self.error, self.best_error = math.inf, math.inf
        self.folder, self.last, self.signals, self.saved = '', '', Signals(), time.monotonic()
        self.seed_process()

    def _samples(self, poses: Poses) -> Samples:
        """The training pairs as a function of their indices, changed at random as the recipe asks."""
        if self.recipe.virtual:
            return VirtualSamples(poses, self.data.skeleton, self.config.window, self.data.fps, self.recipe.virtual)
        return AugmentedSamples(poses, self.data.skeleton, self.recipe)

    @property
    def normalization(self) -> str:
        return 'person' if self.recipe.virtual else 'image'

    @property
    def fewest(self) -> float:
        """Share of a pose's joints that need 2D: all, or none with virtual cameras, which project the 3D themselves."""
        return 0.0 if self.recipe.virtual else 1.0

    @property
    def network(self) -> nn.Module:
        """The network that is evaluated: with averaged weights where there is a moving average."""
        return self.training.average.model if self.training.average else self.training.model

    @property
    def finished(self) -> bool:
        return self.training.progress.epoch >= self.recipe.epochs

    def as_input(self, poses: Poses) -> Poses:
        """Poses to evaluate on, on the device, as the network takes them."""
        return input_poses(poses.to(self.device), self.data, self.config.window, self.normalization,
                           self.recipe.virtual)

    def seed_process(self) -> None:
        """Give every process but the first its own seed for dropout and augmentation."""
        if distributed.rank():
            torch.manual_seed(self.recipe.seed + (self.training.progress.step + 1) * distributed.size()
                              + distributed.rank())

    def path(self, name: str) -> str:
        """The path of a file of the run."""
        return os.path.join(self.folder, name)

    def train(self) -> None:
        """For each epoch: train, evaluate, log, save. A run whose epochs are all done does nothing.

        Raises:
            SystemExit: a signal ended the run, after everything was saved; the status is 128 plus its number.
        """
        progress, recipe = self.training.progress, self.recipe
        if not self.folder and not self.finished:
            self.folder = distributed.from_first(lambda: make_run_folder(self.output.checkpoint))
        print(f'{self.config.describe()}, {cost(self.training.model, self.poses.keypoints)}, on {self.device}: '
              f'{self.training.batches.count:,} poses to train, {len(self.poses):,} to {self.purpose}; ' +
              (f'all {recipe.epochs} epochs are done, a larger --epochs goes on' if self.finished else
               f'files go to {self.folder}'), flush=True)
        if self.finished:
            return
        self.last, self.saved = self.path(checkpoints.LAST), time.monotonic()
        with self.signals, RunLog(self.folder, progress.epoch, self.output.tensorboard) as log:
            while not self.finished:
                label, started, before = f'epoch {progress.epoch + 1}/{recipe.epochs}', time.monotonic(), progress.seen
                with progress_bar(label, self.training.batches.count, before) as bar:
                    train_epoch(self.training, partial(self.between_steps, bar))
                seconds, poses, loss = time.monotonic() - started, progress.seen - before, progress.loss
                self.evaluation = self.evaluate(self.network, self.poses, f'{label} evaluation')
                mean = self.evaluation.mean()
                progress.next_epoch()
                self.error = mean['mpjpe_mm']
                is_best, self.best_error = self.error < self.best_error, min(self.error, self.best_error)
                log.append((progress.epoch, self.training.optimizer.param_groups[0]['lr'], loss, self.error,
                            mean['p_mpjpe_mm']))
                self.save(is_best)
                print(f'{label}: loss {loss:.6f}, MPJPE {self.error:.2f}, P-MPJPE {mean["p_mpjpe_mm"]:.2f} mm over all '
                      f'poses to {self.purpose}, {seconds:.1f} s ({poses / seconds:,.0f} poses/s)'
                      f'{", best so far" if is_best else ""}', flush=True)

    def evaluate(self, network: nn.Module, poses: Poses, label: str,
                 metrics: dict[str, Metric] = PROTOCOLS) -> Evaluation:
        """Evaluate on poses of `as_input`; between slices a single process saves and stops as between steps."""
        with progress_bar(label, len(poses)) as bar:
            return evaluate(network, poses, EvaluationOptions(metrics, self.mirror, pck_joints(self.data.spec),
                                                              between_slices=partial(self.between_slices, bar)))

    def between_steps(self, bar: tqdm) -> None:
        progress = self.training.progress
        bar.set_postfix_str(f'loss {progress.loss:.5f}', refresh=False)
        bar.update(progress.seen - bar.n)
        self.save_or_stop()

    def between_slices(self, bar: tqdm, done: int) -> None:
        bar.update(done - bar.n)
        if distributed.size() == 1 and self.signals.active:  # several processes evaluate their poses at their own pace
            self.save_or_stop()

    def save_or_stop(self) -> None:
        """Between two steps: save when it is time to, and stop if a signal asks for it."""
        due = time.monotonic() - self.saved > self.output.save_minutes * 60
        request = distributed.maximum(self.signals.caught or int(due), self.device)  # signals are larger than 1
        if request:
            self.save()
        if request > 1:
            progress = self.training.progress
            print(f'\nStopped by {signal.Signals(request).name} in epoch {progress.epoch + 1}, after step '
                  f'{progress.step}; to go on:\n  '
                  f'{shlex.join([*self.output.command, "--resume", self.last])}', flush=True)
            raise SystemExit(128 + request)

    def save(self, is_best: bool = False) -> None:
        """Write the checkpoint files, `ckpt_last` last, so that the others are never older than it claims."""
        self.saved = time.monotonic()
        if distributed.rank():
            return
        training, progress = self.training, self.training.progress
        average = training.average
        checkpoint = Checkpoint(
            epoch=progress.epoch, lr=training.optimizer.param_groups[0]['lr'], step=progress.step,
            state_dict=training.model.state_dict(), optimizer=training.optimizer.state_dict(), error=self.error,
            config=self.config, best_error=self.best_error, random=self._random_states(),
            average={'state_dict': average.model.state_dict(), 'updates': average.updates} if average else {},
            under_way=(progress.seen, training.batches.count, progress.loss_sum), keypoints_range=self.keypoints_range,
            normalization=self.normalization, skeleton=self.data.skeleton,
            recipe={**self.recipe.as_dict(), **self.data.options.as_recipe()})
        names = [checkpoints.BEST] if is_best else []
        if progress.seen == 0 and progress.epoch % self.recipe.snapshot == 0:
            names.append(checkpoints.snapshot_name(progress.epoch))
        for path in [*map(self.path, names), self.last]:
            checkpoint.save(path)

    def _random_states(self) -> dict[str, Tensor]:
        states = {'torch': torch.get_rng_state(), 'order': self.training.batches.state(self.training.progress.seen)}
        if self.device.type == 'cuda':
            states['cuda'] = torch.cuda.get_rng_state(self.device)
        return states
