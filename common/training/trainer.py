"""A training run from its data to its last checkpoint, and going on with one, the same for every network."""

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
from common.datasets.loading import DataOptions
from common.datasets.poses import Poses, measure_range
from common.datasets.splits import Data
from common.errors import UserError, warn
from common.evaluation.evaluate import Evaluation, evaluate
from common.evaluation.report import errors_of, print_table
from common.evaluation.scoring import count_parameters, tell
from common.geometry.mirror import mirror_at_evaluation
from common.training.augmentation import Samples
from common.training.epoch import Counters, train_epoch
from common.training.log import Progress, RunLog, TensorBoard, draw_curves, make_run_folder
from common.training.recipe import Recipe, Schedule, learning_rate, optimizer_state
from common.training.signals import Signals
from common.training.step import make_step
from models.config import ModelConfig, build_model


@dataclass(frozen=True)
class Output:
    """Where a run's files go, and when: as the flags of the same names; `command` is what started the run."""

    checkpoint: str = 'checkpoint'
    report: str | None = None
    tensorboard: bool = False
    save_minutes: float = 10.0
    command: Sequence[str] = ()


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
        self.data = data = Data(data_options)
        train = data.train()
        if len(train) < 2:
            raise UserError('a single pose cannot train a network with batch norm: use more actions or a smaller '
                            '--downsample.')
        self.judge = (data.validation() if data_options.val_subjects else data.test()).to(device)
        mean_pose = data.mean_pose(train)
        self.mean_pose = None if mean_pose is None else mean_pose.to(device)
        self.keypoints_range = measure_range(train.keypoints.numpy())

        torch.manual_seed(recipe.seed)
        self.batches = PoseBatches(len(train), recipe.batch_size, torch.Generator().manual_seed(recipe.seed), device)
        self.counters, self.error, self.best = Counters(), math.inf, math.inf
        self.evaluation: Evaluation | None = None
        if resume is None:
            model = build_model(config, data.skeleton)
        else:
            path, checkpoint = resume
            if checkpoint.epoch >= recipe.epochs:
                raise UserError(f'{path} has been trained for {checkpoint.epoch} epochs already: give a larger '
                                f'--epochs than {recipe.epochs} to go on, or --evaluate it.')
            model = checkpoints.restore_model(checkpoint, path, data.skeleton, config.dropout, averaged=False)
        if distributed.rank():  # the same weights in all processes, dropout and augmentation of its own in each
            torch.manual_seed(self._seed_of_process())
        samples = Samples(train.to(device), data.skeleton, recipe)
        self.step = make_step(model.to(device), recipe, samples)
        if resume is not None:
            self._restore(*resume)
        self.schedule = Schedule(recipe.lr, recipe.lr_decay, recipe.lr_gamma, recipe.schedule, recipe.warmup_steps,
                                 recipe.epochs * len(self.batches))
        self.folder = self._choose_folder(resume[0] if resume else None)
        self.last = os.path.join(self.folder, checkpoints.LAST)
        self.log = RunLog(self.folder, self.counters.epoch)
        self.tensorboard = TensorBoard(self.folder, self.counters.epoch) if output.tensorboard else None

    def run(self) -> None:
        """Train to the last epoch; evaluate, log and save after each.

        Raises:
            SystemExit: a signal asked for the end; all is saved, and the status is the shell's for that signal.
        """
        print(f'{self.config.describe()}, {count_parameters(self.step.model):,} parameters, on {self.device}: '
              f'{self.batches.count:,} poses to train, {len(self.judge):,} to {self._verb}; files go to {self.folder}',
              flush=True)
        self.saved = time.monotonic()
        if not distributed.rank():
            self.log.write()  # by which a resume knows the folder, though no epoch is done
        try:
            with Signals() as self.signals:
                while self.counters.epoch < self.recipe.epochs:
                    self._epoch()
        finally:
            if self.tensorboard:
                self.tensorboard.close()
        self._finish()

    @property
    def _verb(self) -> str:
        return 'validate' if self.data.options.val_subjects else 'test'

    @property
    def network(self) -> nn.Module:
        """What is evaluated: the network with averaged weights, where there is a moving average."""
        return self.step.average.model if self.step.average else self.step.model

    def _epoch(self) -> None:
        counters, started, before = self.counters, time.monotonic(), self.counters.seen
        label = f'epoch {counters.epoch + 1}/{self.recipe.epochs}'
        with Progress(label, self.batches.count) as progress:
            for _ in train_epoch(self.step, self.batches, self.schedule, counters):
                progress(counters.seen, counters.loss)
                self._attend()
        trained, poses = time.monotonic() - started, counters.seen - before
        with Progress(f'{label} evaluation', len(self.judge)) as progress:
            def report(done: int) -> None:
                progress(done)
                if distributed.size() == 1:  # processes count their parts of the poses at their own pace
                    self._attend()
            self.evaluation = self._evaluate(self.network, self.judge, report)
        p1, p2, loss = self.evaluation.pose_mpjpe, self.evaluation.pose_p_mpjpe, counters.loss
        counters.next_epoch()
        is_best = p1 < self.best
        self.best = min(p1, self.best)

        if not distributed.rank():
            row = (counters.epoch, learning_rate(self.step.optimizer), loss, p1, p2)
            self.log.append(row)
            if self.tensorboard:
                self.tensorboard.append(row)
        self.error = p1
        self._save(is_best)
        print(f'{label}: loss {loss:.6f}, MPJPE {p1:.2f}, P-MPJPE {p2:.2f} mm over all poses to {self._verb}, '
              f'{trained:.1f} s ({poses / trained:,.0f} poses/s){", best so far" if is_best else ""}', flush=True)

    def _evaluate(self, network: nn.Module, poses: Poses,
                  report: Callable[[int], None] | None = None) -> Evaluation:
        mirror = mirror_at_evaluation(self.recipe.tta, self.data.skeleton, self.device)
        return evaluate(network, poses, self.mean_pose, report, mirror)

    def _attend(self) -> None:
        """Between two steps: save where that is due, and end where a signal asks for it."""
        due = time.monotonic() - self.saved > self.output.save_minutes * 60
        wish = distributed.highest(self.signals.caught or int(due), self.device)
        if wish:
            self._save()
        if wish > 1:
            print(f'\nStopped by {signal.Signals(wish).name} in epoch {self.counters.epoch + 1}, after step '
                  f'{self.counters.step}; to go on:\n  {shlex.join([*self.output.command, "--resume", self.last])}',
                  flush=True)
            raise SystemExit(128 + wish)

    def _save(self, is_best: bool = False) -> None:
        """Write the checkpoint; `ckpt_last` at the end, so that whatever it claims of the others is true."""
        self.saved = time.monotonic()
        if distributed.rank():
            return
        counters, average, options = self.counters, self.step.average, self.data.options
        checkpoint = Checkpoint(
            epoch=counters.epoch, lr=learning_rate(self.step.optimizer), step=counters.step,
            state_dict=self.step.model.state_dict(), optimizer=optimizer_state(self.step.optimizer),
            error=self.error, config=self.config, best_error=self.best, random=self._random_states(),
            average={'state_dict': average.model.state_dict(), 'updates': average.updates} if average else {},
            under_way=(counters.seen, self.batches.count, counters.loss_sum), keypoints_range=self.keypoints_range,
            recipe={**dataclasses.asdict(self.recipe), **options.kept()})
        names = [checkpoints.BEST] if is_best else []
        if counters.seen == 0 and counters.epoch % self.recipe.snapshot == 0:
            names.append(checkpoints.snapshot_name(counters.epoch))
        for name in [*names, checkpoints.LAST]:
            checkpoint.save(os.path.join(self.folder, name))

    def _finish(self) -> None:
        """Tell the errors of the last epoch and, with validation subjects, first those of the epoch they chose.

        Test subjects that were kept out of the choice are scored here for the first time.
        """
        if not distributed.rank():
            draw_curves(self.log.rows, os.path.join(self.folder, 'log.png'))
        options, last = self.data.options, self.evaluation
        about: dict[str, Any] = {'epoch': self.counters.epoch}
        if options.val_subjects:
            test, path = self.data.test().to(self.device), os.path.join(self.folder, checkpoints.BEST)
            if os.path.exists(path):  # a run that went on from elsewhere may not have found a better epoch
                best = checkpoints.load_checkpoint(path)
                network = checkpoints.restore_model(best, path, self.data.skeleton).to(self.device)
                print(f'Epoch {best.epoch}, chosen on {", ".join(options.val_subjects)}:')
                chosen = self._evaluate(network, test)
                print_table(chosen)
                about['chosen'] = {'epoch': best.epoch, 'on': list(options.val_subjects), **errors_of(chosen)}
            print(f'Epoch {self.counters.epoch}, the last:')
            last = self._evaluate(self.network, test)
        assert last is not None
        tell(last, self.output.report, self.last, self.config, options, about)

    def _random_states(self) -> dict[str, Tensor]:
        states = {'torch': torch.get_rng_state(), 'order': self.batches.state(self.counters.seen)}
        if self.device.type == 'cuda':
            states['cuda'] = torch.cuda.get_rng_state(self.device)
        return states

    def _restore(self, path: str, checkpoint: Checkpoint) -> None:
        """Go on where the checkpoint was saved; with other data, at the beginning of its epoch."""
        checkpoints.restore_optimizer(self.step.optimizer, checkpoint, path)
        self.counters = Counters(checkpoint.epoch, checkpoint.step)
        self.error = checkpoint.error
        if checkpoint.recipe.get('val_subjects', []) == list(self.data.options.val_subjects):  # else of other judges
            self.best = checkpoint.best_error
        seen, of, loss_sum = checkpoint.under_way
        if of == self.batches.count:
            self.counters.seen, self.counters.loss_sum = seen, loss_sum
        elif seen:
            warn(f'{path} was saved within an epoch of {of:,} poses; there are {self.batches.count:,} now, so epoch '
                 f'{checkpoint.epoch + 1} begins anew.')
        average = self.step.average
        if average:
            network = checkpoints.restore_model(checkpoint, path, self.data.skeleton)
            average.load(network.state_dict(), checkpoint.average.get('updates', 0))
        self._restore_random(path, checkpoint.random)

    def _restore_random(self, path: str, states: dict[str, Tensor]) -> None:
        if not states:
            warn(f'{path} holds no random states: the run goes on in an order of its own.')
            return
        try:
            self.batches.generator.set_state(states['order'])
            if distributed.rank():  # the file has those of the first process only
                torch.manual_seed(self._seed_of_process())
                return
            torch.set_rng_state(states['torch'])
            if self.device.type == 'cuda' and 'cuda' in states:
                torch.cuda.set_rng_state(states['cuda'], self.device)
        except (KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise UserError(f'{path} holds random states that cannot be used: {error}.') from error

    def _seed_of_process(self) -> int:
        return self.recipe.seed + (self.counters.step + 1) * distributed.size() + distributed.rank()

    def _choose_folder(self, resumed: str | None) -> str:
        """The folder of the run that is resumed, else a new one."""
        if resumed is not None:
            folder = os.path.dirname(resumed) or os.curdir
            if os.path.exists(os.path.join(folder, 'log.txt')):  # a published file may lie among others: leave it alone
                return folder
        return self.output.checkpoint if distributed.rank() else make_run_folder(self.output.checkpoint)
