"""Fine-tuning: the weights of a checkpoint in a new network, which may have other joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.errors import UserError
from common.geometry.graph import adjacency
from common.geometry.skeleton import Skeleton

LAST_LAYER = ('gconv_output.W', 'gconv_output.bias', 'w2.weight', 'w2.bias')  # their unit may differ


def initialise_from(model: nn.Module, checkpoint: Checkpoint, path: str, skeleton: Skeleton) -> list[str]:
    """Copy the weights of a checkpoint that fit into a network; averaged weights where the file has them.

    Weights of joints are matched by the names of the joints: an edge weight by the two joints of its edge, a row or
    column of the linear model by its joint. Other weights are copied where the shapes agree.

    Args:
        model: the network, whose weights are changed in place.
        path: of the checkpoint.
        skeleton: the network's.
    Returns:
        the weights that were not copied, or only in part, each with the reason.
    Raises:
        UserError: no weight fits.
    """
    found = checkpoint.average['state_dict'] if checkpoint.average else checkpoint.state_dict
    state, missed = model.state_dict(), []
    for name, weight in state.items():
        if name not in found:
            missed.append(f'{name} (not in the file)')
            continue
        given = found[name].to(weight)
        if name in LAST_LAYER:
            given = given * (checkpoint.config.unit / model.unit)  # type: ignore[operator]
        dim = -1 if name.endswith('.e') or name == 'w1.weight' else 0
        weight, given = weight.movedim(dim, 0), given.movedim(dim, 0)  # (what belongs to joints, ...)
        here = _parts(name, skeleton, len(weight)) if weight.ndim else []
        there = _parts(name, checkpoint.skeleton or h36m.skeleton(), len(given)) if given.ndim else []
        shared = [part for part in here if part in there]
        if weight.shape == given.shape and (here == there or not there):
            weight.copy_(given)
        elif shared and weight.shape[1:] == given.shape[1:]:
            weight[[here.index(part) for part in shared]] = given[[there.index(part) for part in shared]]
            if len(shared) < len(here):
                missed.append(f'{name} ({len(here) - len(shared)} of {len(here)} are not in the file)')
        else:
            missed.append(f'{name} ({tuple(found[name].shape)} in the file, {tuple(state[name].shape)} here)')
    if len(missed) == len(state):
        raise UserError(f'{path} holds a {checkpoint.config.describe()}, of which nothing fits this network.')
    return missed


def _parts(name: str, skeleton: Skeleton, size: int) -> list[tuple[Any, ...]]:
    """The edges, or the coordinates of joints, to which a weight of that size belongs; empty for other weights."""
    if name.endswith('.e'):
        parts: list[tuple[Any, ...]] = [(skeleton.names[a], skeleton.names[b])
                                        for a, b in np.argwhere(adjacency(skeleton))]
    else:
        joints = {'w1.weight': skeleton.names, 'w2.weight': skeleton.names[1:],
                  'w2.bias': skeleton.names[1:]}.get(name, ())
        each = size // max(len(joints), 1)
        parts = [(joint, number, each) for joint in joints for number in range(each)]
    return parts if len(parts) == size else []
