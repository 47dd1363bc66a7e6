"""Continuing a run from its checkpoint, to the same bits as a run that was never stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from common.checkpoint import Checkpoint, restore_model
from common.datasets.batches import PoseBatches
from common.datasets.loading import DataOptions
from common.errors import UserError, printable, warn
from common.training.arguments import Output
from common.training.recipe import Recipe

if TYPE_CHECKING:
    from common.training.run import Trainer

TEST_DATA = ('dataset', 'keypoints', 'actions', 'downsample', 'test_subjects', 'val_subjects', 'tta', 'virtual',
             'skip_shifted_s9')


def resume(trainer: Trainer, checkpoint: Checkpoint, path: str) -> None:
    """Bring a new trainer to the state of a checkpoint.

    With other training data the run continues at the beginning of the checkpoint's epoch. With other test data the best
    epoch is chosen again.

    Args:
        trainer: its network has the checkpoint's own weights, not the averaged ones.
        path: of the checkpoint.
    Raises:
        UserError: the checkpoint does not fit.
    """
    training, recipe = trainer.training, trainer.recipe
    restore_optimizer(training.optimizer, checkpoint, path)
    training.progress.epoch, training.progress.step = checkpoint.epoch, checkpoint.step
    trainer.error = checkpoint.error
    before = {**Recipe(1, 1).as_dict(), **DataOptions().as_recipe(), **checkpoint.recipe}
    now = {**recipe.as_dict(), **trainer.data.options.as_recipe()}
    if changed := [name for name in TEST_DATA if (before.get(name) or []) != (now.get(name) or [])]:
        warn(f'{path} has errors of other test data ({", ".join(changed)} differ), so the best epoch is chosen again.')
    else:
        trainer.best_error = checkpoint.best_error
    seen, of, loss_sum = checkpoint.under_way
    if of == training.batches.count:
        training.progress.seen, training.progress.loss_sum = seen, loss_sum
    elif seen:
        warn(f'{path} was saved within an epoch of {of:,} poses; there are {training.batches.count:,} now, so epoch '
             f'{checkpoint.epoch + 1} starts again.')
    if training.average:
        averaged = restore_model(checkpoint, path, trainer.data.skeleton)
        training.average.load(averaged.state_dict(), checkpoint.average.get('updates', 0))
    restore_random_states(training.batches, trainer.device, checkpoint.random, path)
    trainer.seed_process()  # the file has the states of the first process only
    rate = training.schedule.at(checkpoint.step + 1)
    if recipe.schedule != 'published' and recipe.epochs > before['epochs'] > 1 and not trainer.finished:
        warn(f'--epochs {recipe.epochs} stretches the {recipe.schedule} schedule, which {path} followed over '
             f'{before["epochs"]} epochs: the learning rate goes on at {rate:.2e} after {checkpoint.lr:.2e}.')
    trainer.last, folder = path, os.path.dirname(path) or os.curdir
    if trainer.finished or os.path.exists(os.path.join(folder, 'log.txt')):  # a published file is in no run's folder
        trainer.folder = folder
        root = trainer.output.checkpoint
        if root != Output.checkpoint and os.path.realpath(root) != os.path.realpath(os.path.dirname(folder)):
            warn(f'the run goes on in its folder {folder}: --checkpoint {root} is not used.')


def restore_random_states(batches: PoseBatches, device: torch.device, states: dict[str, Tensor], path: str) -> None:
    """Restore the random generators of the order, of PyTorch and of the device.

    Raises:
        UserError: the states are unusable.
    """
    if not states:
        warn(f'{path} holds no random states: the run continues in an order of its own.')
        return
    try:
        batches.generator.set_state(states['order'])
        torch.set_rng_state(states['torch'])
        if device.type == 'cuda' and 'cuda' in states:
            torch.cuda.set_rng_state(states['cuda'], device)
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f'{path} holds random states that cannot be used: {error}.') from error


def restore_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Checkpoint, path: str) -> None:
    """Restore Adam's moments and learning rate; its other options keep their values.

    Parameters are matched by order, as PyTorch does; published files name them by Python 2 addresses.

    Raises:
        UserError: the file's optimizer is not of this network.
    """
    if checkpoint.optimizer is None:
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    try:
        groups, saved = checkpoint.optimizer['param_groups'], dict(checkpoint.optimizer['state'])
        if not all(isinstance(part, dict) for part in (*groups, *saved.values())):
            raise TypeError('its parts are not dicts')
        names = [name for group in groups for name in group['params']]
        if len(names) != len(parameters):
            raise ValueError(f'it has {len(names)} parameters instead of {len(parameters)}')
        state = {index: _adam_state(saved[name], parameter)
                 for index, (name, parameter) in enumerate(zip(names, parameters, strict=True)) if saved}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise UserError(f'{path} holds an optimizer that does not fit its network: {printable(error)}.') from error
    options = [{**group, 'lr': checkpoint.lr} for group in optimizer.state_dict()['param_groups']]
    optimizer.load_state_dict({'state': state, 'param_groups': options})


def _adam_state(saved: dict[str, Any], parameter: nn.Parameter) -> dict[str, Tensor]:
    """A parameter's moments, checked."""
    state = {'step': torch.tensor(float(saved['step']))}
    for name in ('exp_avg', 'exp_avg_sq'):
        if saved[name].shape != parameter.shape:
            raise ValueError(f'{name} is {tuple(saved[name].shape)} instead of {tuple(parameter.shape)}')
        # a copy, because tensors of a file may overlap or be the same tensor twice
        state[name] = saved[name].to(parameter.dtype).clone(memory_format=torch.contiguous_format)
    if (not all(value.isfinite().all() for value in state.values())
            or state['step'] < 0 or (state['exp_avg_sq'] < 0).any()):
        raise ValueError('its moments are not all numbers that Adam can have')
    return state
