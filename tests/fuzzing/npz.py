"""Targets of the fuzzing: `.npz`, `.npy` and checkpoints, damaged as a whole and from within."""

import collections
import io
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from common.checkpoint import Checkpoint, load_checkpoint, restore_model
from common.datasets.h36m import skeleton
from common.files.npz import read_npy, read_npz
from common.training.resume import restore_optimizer
from models.config import ModelConfig, build_model
from tests.fuzzing.target import Target
from tests.helpers.make_archives import zip_of
from tests.helpers.make_damage import damage_entries, damage_pickle
from tests.helpers.make_pickles import ATTACKS


def targets() -> list[Target]:
    return [
        Target('npz, pickled dicts', 'x.npz', npz_files, read_npz),
        Target('npz, entries', 'x.npz', npy_files, read_npz, lambda part: zip_of({'positions_3d.npy': part})),
        Target('npz, pickles', 'x.npz', pickles, read_npz, pickled_npz, damage_pickle),
        Target('npy', 'x.npy', npy_files, read_npy),
        Target('checkpoint, legacy', 'x.pth.tar', lambda: checkpoints(False), use_checkpoint),
        Target('checkpoint, zip', 'x.pth.tar', lambda: checkpoints(True), use_checkpoint),
        Target('checkpoint, zip, pickle', 'x.pth.tar', checkpoint_pickles, use_checkpoint, zip_checkpoint,
               damage_pickle),
        Target('checkpoint, values', 'x.pth.tar', lambda: [pickle.dumps(content) for content in contents()],
               use_checkpoint, lambda pickled: written(_save, pickle.loads(pickled), False), damage_entries),
    ]


CONFIG = ModelConfig('gcn', hid_dim=4, num_layers=0)


def poses() -> dict[str, Any]:
    walk = np.arange(96, dtype=np.float32).reshape(2, 16, 3)
    return {'S1': {'Walking': walk, 'Eating 1': [walk[:1, :, :2], walk[1:, :, :2]]}, 'S9': {'Walking': walk[:0]}}


def written(save: Callable[..., None], *arguments: Any, **entries: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arguments, **entries)
    return buffer.getvalue()


def npz_files() -> list[bytes]:
    nested = np.array([poses(), None, 'é'], object)
    return [
        written(np.savez_compressed, positions_3d=np.array(poses()), metadata=np.array({'layout': 'h36m'})),
        written(np.savez, positions_2d=np.array(poses()), subjects=np.array(['S1', 'é'])),
        written(np.savez, a=np.ones((2, 1), np.float32, 'F'), mask=np.array([True, False]), nested=nested),
    ]


def npy_files() -> list[bytes]:
    arrays = [np.array(poses()), np.ones((3, 2)), np.asfortranarray(np.ones((3, 2), '>f4')), np.array(['S1', 'é']),
              np.array([True, False]), np.array(5), np.array([poses(), None], object)]
    return [written(np.save, array) for array in arrays]


def pickled_npz(pickled: bytes) -> bytes:
    """A `.npz` of one object, by its pickle."""
    header = written(np.save, np.array(None))
    return zip_of({'positions_3d.npy': header[:header.index(b'\n') + 1] + pickled})


PARSED = ('call', 'eval', 'object', 'forged objects', 'forged records', 'forged subtype', 'huge array', 'endless array',
          'function state', 'hash', 'text', 'doubled lists', 'itself')  # that pickletools can follow


def pickles() -> list[bytes]:
    various = {'n': [1, 2.5, None, True, b'x', 2 ** 70], 's': np.float32(1), 'o': collections.OrderedDict(a=1)}
    whole = [pickle.dumps(np.array({**poses(), **various}), protocol) for protocol in range(6)]
    return [*whole * 3, *(ATTACKS[what] for what in PARSED)]


def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    model = build_model(CONFIG, skeleton())
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 16, 2)).square().mean().backward()
    optimizer.step()
    return Checkpoint(epoch=1, lr=1e-3, step=1, state_dict=model.state_dict(), optimizer=optimizer.state_dict(),
                      error=50.0, config=CONFIG, recipe={'epochs': 2, 'actions': ['Walking']})


def contents() -> list[dict[str, Any]]:
    """Of a described checkpoint and of one as the published code writes it."""
    saved = checkpoint()
    published = {name: getattr(saved, name) for name in ('epoch', 'lr', 'step', 'state_dict', 'optimizer', 'error')}
    return [{**published, 'config': CONFIG.as_dict(), 'best_error': 50.0, 'recipe': saved.recipe}, published]


def checkpoints(zipped: bool) -> list[bytes]:
    return [written(_save, content, zipped) for content in contents()]


def _save(buffer: io.BytesIO, content: dict[str, Any], zipped: bool) -> None:
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)


def checkpoint_pickles() -> list[bytes]:
    """The pickles in checkpoints of the zip container."""
    return [zipfile.ZipFile(io.BytesIO(content)).read('archive/data.pkl') for content in checkpoints(True)]


def zip_checkpoint(pickled: bytes) -> bytes:
    members = zipfile.ZipFile(io.BytesIO(checkpoints(True)[0]))
    return zip_of({name: pickled if name.endswith('data.pkl') else members.read(name) for name in members.namelist()})


def use_checkpoint(path: str) -> None:
    """Load a checkpoint, build its network, use it and its optimizer once."""
    found = load_checkpoint(path)
    model = restore_model(found, path, skeleton())
    optimizer = torch.optim.Adam(model.parameters())
    restore_optimizer(optimizer, found, path)
    model(torch.zeros(2, 16, 2)).sum().backward()
    optimizer.step()
