"""A training run: epochs, each evaluated, logged and saved."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common import checkpoint as checkpoints
from common import distributed
from common.checkpoint import Checkpoint
from common.datasets.batches import PoseBatches
from common.datasets.poses import Poses, measure_range
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualCameras, VirtualSamples
from common.errors import UserError
from common.evaluation.cost import cost
from common.evaluation.evaluate import PROTOCOLS, Evaluation, evaluate
from common.evaluation.report import print_table
from common.evaluation.scoring import metrics_for, network_poses, pck_joints, print_and_write
from common.geometry.mirror import mirror_at_evaluation
from common.progress import Progress
from common.training.augmentation import Samples
from common.training.cuda_graph import make_step
from common.training.epoch import Counters, train_epoch
from common.training.log import RunLog, TensorBoard, draw_curves, make_run_folder
from common.training.recipe import Recipe, Schedule
from common.training.signals import Signals
from models.config import ModelConfig


@dataclass(frozen=True)
class Output:
    """Files of a run, named as the flags; `command` is the command line that continues the run with `--resume FILE`."""

    checkpoint: str = 'checkpoint'
    report: str | None = None
    tensorboard: bool = False
    save_minutes: float = 10.0
    command: Sequence[str] = ()


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
        counters: training progress.
        error, best_error: of the last epoch and of the best, mean over the evaluation poses, mm.
        folder: of the run; None for a new one.
        resumed: path of the checkpoint that the run continues.
    Raises:
        UserError: the data cannot be used.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, recipe: Recipe, data: Data, device: torch.device,
                 output: Output) -> None:
        self.config, self.recipe, self.data, self.device, self.output = config, recipe, data, device, output
        train = data.train()
        if len(train) < 2:
            raise UserError('a single pose cannot train a network with batch norm: use more actions or a smaller '
                            '--downsample.')
        self.evaluation_poses = self.as_input(data.validation() if data.options.val_subjects else data.test())
        self.purpose = 'validate' if data.options.val_subjects else 'test'
        mean_pose = None if recipe.virtual else data.mean_pose(train)
        self.mean_pose = None if mean_pose is None else mean_pose.to(device)
        self.keypoints_range = measure_range(train.keypoints.numpy())

        self.counters, self.error, self.best_error = Counters(), math.inf, math.inf
        self.evaluation: Evaluation | None = None
        self.folder: str | None = None
        self.resumed = ''
        self.seed_process()
        self.batches = PoseBatches(len(train), recipe.batch_size, torch.Generator().manual_seed(recipe.seed), device)
        self.step = make_step(model.to(device), recipe, self.samples(train.to(device)))
        self.schedule = Schedule(recipe.lr, recipe.lr_decay, recipe.lr_gamma, recipe.schedule, recipe.warmup_steps,
                                 recipe.epochs * len(self.batches))

    def samples(self, poses: Poses) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The training pairs as a function of their indices, augmented as the recipe asks."""
        if self.wild:
            return VirtualSamples(poses, self.data.skeleton, self.config.window, self.data.fps, self.wild)
        return Samples(poses, self.data.skeleton, self.recipe)

    def as_input(self, poses: Poses) -> Poses:
        """Poses to evaluate on, on the device, as the network takes them."""
        return network_poses(poses.to(self.device), self.data, self.config.window, self.normalization, self.wild)

    @property
    def wild(self) -> VirtualCameras | None:
        """The random changes of samples by virtual cameras; None without `--virtual`."""
        names = [part.name for part in dataclasses.fields(VirtualCameras) if hasattr(self.recipe, part.name)]
        return VirtualCameras(**{name: getattr(self.recipe, name) for name in names}) if self.recipe.virtual else None

    @property
    def normalization(self) -> str:
        return 'person' if self.recipe.virtual else 'image'

    def seed_process(self) -> None:
        """Give every process but the first its own seed for dropout and augmentation."""
        if distributed.rank():
            torch.manual_seed(self.recipe.seed + (self.counters.step + 1) * distributed.size() + distributed.rank())

    def run(self) -> None:
        """Train up to the last epoch, then print the errors. A run whose epochs are all done only prints them.

        Raises:
            SystemExit: a signal ended the run, after everything was saved; the status is 128 plus its number.
        """
        finished = self.counters.epoch >= self.recipe.epochs
        if finished:
            folder, self.last = os.path.dirname(self.resumed), self.resumed
        else:
            root = self.output.checkpoint
            folder = self.folder or (root if distributed.rank() else make_run_folder(root))
            self.last = os.path.join(folder, checkpoints.LAST)
        self.log = RunLog(folder, self.counters.epoch)
        print(f'{self.config.describe()}, {cost(self.step.model, self.evaluation_poses.keypoints)}, on {self.device}: '
              f'{self.batches.count:,} poses to train, {len(self.evaluation_poses):,} to {self.purpose}; ' +
              (f'all {self.recipe.epochs} epochs are done, a larger --epochs goes on' if finished else
               f'files go to {folder}'), flush=True)
        if not finished:
            self._train()
        self._report(folder)

    def _train(self) -> None:
        self.saved = time.monotonic()
        if not distributed.rank():
            self.log.write()  # before the first epoch too, because a resume recognises the folder by its log
        self.tensorboard = (TensorBoard(os.path.dirname(self.last), self.counters.epoch) if self.output.tensorboard
                            else None)
        try:
            with Signals() as self.signals:
                while self.counters.epoch < self.recipe.epochs:
                    self._epoch()
        finally:
            if self.tensorboard:
                self.tensorboard.close()

    @property
    def network(self) -> nn.Module:
        """The network that is evaluated: with averaged weights where there is a moving average."""
        return self.step.average.model if self.step.average else self.step.model

    def _epoch(self) -> None:
        counters, started, before = self.counters, time.monotonic(), self.counters.seen
        label = f'epoch {counters.epoch + 1}/{self.recipe.epochs}'
        with Progress(label, self.batches.count) as progress:
            for _ in train_epoch(self.step, self.batches, self.schedule, counters):
                progress(counters.seen, counters.loss)
                self._save_or_stop()
        trained, poses = time.monotonic() - started, counters.seen - before
        with Progress(f'{label} evaluation', len(self.evaluation_poses)) as progress:
            def report(done: int) -> None:
                progress(done)
                if distributed.size() == 1:  # several processes evaluate their poses at their own pace
                    self._save_or_stop()
            self.evaluation = self._evaluate(self.network, self.evaluation_poses, report)
        mean, loss = self.evaluation.mean(), counters.loss
        p1, p2 = mean['mpjpe_mm'], mean['p_mpjpe_mm']
        counters.next_epoch()
        is_best = p1 < self.best_error
        self.error, self.best_error = p1, min(p1, self.best_error)

        if not distributed.rank():
            row = (counters.epoch, self.step.optimizer.learning_rate, loss, p1, p2)
            self.log.append(row)
            if self.tensorboard:
                self.tensorboard.append(row)
        self._save(is_best)
        print(f'{label}: loss {loss:.6f}, MPJPE {p1:.2f}, P-MPJPE {p2:.2f} mm over all poses to {self.purpose}, '
              f'{trained:.1f} s ({poses / trained:,.0f} poses/s){", best so far" if is_best else ""}', flush=True)

    def _evaluate(self, network: nn.Module, poses: Poses,
                  report: Callable[[int], None] | None = None, metrics: Sequence[str] = PROTOCOLS) -> Evaluation:
        mirror = mirror_at_evaluation(self.recipe.tta, self.data.skeleton, self.device)
        return evaluate(network, poses, self.mean_pose, report, mirror, metrics, pck_joints(self.data.spec))

    def _save_or_stop(self) -> None:
        """Between two steps: save when it is time to, and stop if a signal asks for it."""
        due = time.monotonic() - self.saved > self.output.save_minutes * 60
        request = distributed.maximum(self.signals.caught or int(due), self.device)  # signals are larger than 1
        if request:
            self._save()
        if request > 1:
            print(f'\nStopped by {signal.Signals(request).name} in epoch {self.counters.epoch + 1}, after step '
                  f'{self.counters.step}; to go on:\n  {shlex.join([*self.output.command, "--resume", self.last])}',
                  flush=True)
            raise SystemExit(128 + request)

    def _save(self, is_best: bool = False) -> None:
        """Write the checkpoint files, `ckpt_last` last, so that the others are never older than it claims."""
        self.saved = time.monotonic()
        if distributed.rank():
            return
        counters, average = self.counters, self.step.average
        checkpoint = Checkpoint(
            epoch=counters.epoch, lr=self.step.optimizer.learning_rate, step=counters.step,
            state_dict=self.step.model.state_dict(), optimizer=self.step.optimizer.state_dict(),
            error=self.error, config=self.config, best_error=self.best_error, random=self._random_states(),
            average={'state_dict': average.model.state_dict(), 'updates': average.updates} if average else {},
            under_way=(counters.seen, self.batches.count, counters.loss_sum), keypoints_range=self.keypoints_range,
            normalization=self.normalization, skeleton=self.data.skeleton,
            recipe={**dataclasses.asdict(self.recipe), **self.data.options.as_recipe()})
        names = [checkpoints.BEST] if is_best else []
        if counters.seen == 0 and counters.epoch % self.recipe.snapshot == 0:
            names.append(checkpoints.snapshot_name(counters.epoch))
        for name in [*names, checkpoints.LAST]:
            checkpoint.save(os.path.join(os.path.dirname(self.last), name))

    def _random_states(self) -> dict[str, Tensor]:
        states = {'torch': torch.get_rng_state(), 'order': self.batches.state(self.counters.seen)}
        if self.device.type == 'cuda':
            states['cuda'] = torch.cuda.get_rng_state(self.device)
        return states

    def _report(self, folder: str) -> None:
        """Print the errors of the last epoch; with validation subjects, first the errors of the chosen epoch.

        Where validation subjects choose the epoch, the test subjects are evaluated here for the first time.
        """
        curves = os.path.join(folder, 'log.png')
        if not distributed.rank() and self.log.rows and (self.evaluation or not os.path.exists(curves)):
            draw_curves(self.log.rows, curves)
        options, last, poses = self.data.options, self.evaluation, self.evaluation_poses
        metrics = metrics_for(self.data.spec, self.output.report, virtual=self.recipe.virtual)
        about: dict[str, Any] = {'epoch': self.counters.epoch}
        if options.val_subjects:
            poses, path = self.as_input(self.data.test()), os.path.join(folder, checkpoints.BEST)
            if os.path.exists(path):  # a resumed run may not have found a better epoch than the run before it
                best = checkpoints.load_checkpoint(path)
                network = checkpoints.restore_model(best, path, self.data.skeleton).to(self.device)
                print(f'Epoch {best.epoch}, chosen on {", ".join(options.val_subjects)}:')
                chosen = self._evaluate(network, poses)
                print_table(chosen)
                about['chosen'] = {'epoch': best.epoch, 'on': list(options.val_subjects), **chosen.action_average}
            print(f'Epoch {self.counters.epoch}, the last:')
            last = None
        if last is None or set(metrics) - set(last.sums):
            last = self._evaluate(self.network, poses, metrics=metrics)
        print_and_write(last, self.data, self.last, self.config, self.output.report, about)
