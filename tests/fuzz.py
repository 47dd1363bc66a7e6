"""A long run of damaged files against every reader: `python -m tests.fuzz --inputs 10000 --seed 0`.

Each input must end in data or in one sentence (`UserError`), within 10 s and 2 GB, and run nothing. Input number n of a
seed is always the same; `--only n` runs that one alone, with a traceback.
"""

import argparse
import collections
import faulthandler
import io
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch

from common.checkpoint import Checkpoint, load_checkpoint, restore_model, restore_optimizer
from common.errors import UserError
from common.h36m_dataset import skeleton
from common.npz import read_npy, read_npz
from models import ModelConfig, build_model
from tests.make_damage import damage, damage_pickle
from tests.make_pickles import ATTACKS

SECONDS, BYTES = 10, 2 << 30
# What Python reports before it does it, and what no reader of data has to do; the last is Python's own unpickler.
FORBIDDEN = ('exec', 'os.system', 'os.exec', 'os.fork', 'os.posix_spawn', 'os.spawn', 'subprocess.', 'socket.',
             'ctypes.', 'os.remove', 'os.rename', 'os.mkdir', 'os.chmod', 'shutil.', 'webbrowser.', 'pickle.find_class')


@dataclass(frozen=True)
class Target:
    """A reader and the files to damage for it.

    Attributes:
        name: of the row in the report; `suffix` of the file.
        seeds: makes the whole files, or the parts of files that `pack` packs.
        read: reads a path; a UserError is an answer.
        pack: wraps a damaged part so that what surrounds it is whole; checksums then do not hide what is behind them.
        damage: makes an input of the seeds.
    """

    name: str
    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[str], Any]
    pack: Callable[[bytes], bytes] = bytes
    damage: Callable[[random.Random, Sequence[bytes], Sequence[bytes]], bytes] = damage


def targets() -> list[Target]:
    """Every reader; add a line for a new one."""
    return [
        Target('npz, pickled dicts', '.npz', npz_files, read_npz),
        Target('npz, entries', '.npz', npy_files, read_npz, lambda part: zip_of({'positions_3d.npy': part})),
        Target('npz, pickles', '.npz', pickles, read_npz, pickled_npz, damage_pickle),
        Target('npy', '.npy', npy_files, read_npy),
        Target('checkpoint, legacy', '.pth.tar', lambda: checkpoints(False), use_checkpoint),
        Target('checkpoint, zip', '.pth.tar', lambda: checkpoints(True), use_checkpoint),
        Target('checkpoint, zip, pickle', '.pth.tar', checkpoint_pickles, use_checkpoint, zip_checkpoint,
               damage_pickle),
    ]


# Seeds.

CONFIG = ModelConfig('gcn', hid_dim=4, num_layers=0)


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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


# The run.

class Hang(BaseException):
    """Not an Exception, so that no reader takes it for damage."""


class Watch:
    """Notes what Python reports of forbidden deeds while a reader is at work."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.active and event.startswith(FORBIDDEN):
            self.seen.append(f'{event}{arguments!r:.200}')

    @contextmanager
    def __call__(self) -> Iterator[list[str]]:
        self.seen, self.active = [], True
        signal.alarm(SECONDS)
        faulthandler.dump_traceback_later(2 * SECONDS, exit=True)  # for loops in C, which a signal does not interrupt
        try:
            yield self.seen
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.alarm(0)
            self.active = False


def judge(target: Target, path: str, watch: Watch) -> tuple[str, str]:
    """(outcome, detail): 'read' and 'told' are good, all else is a finding."""
    try:
        with watch() as seen:
            target.read(path)
        outcome, detail = 'read', ''
    except UserError as error:
        outcome, detail = 'told', str(error)
        if 'MemoryError' in detail or 'allocate' in detail:
            outcome = 'memory'
        elif len(detail) > 1000 or '\n' in detail or not detail.endswith('.'):
            outcome = 'no sentence'
    except Hang:
        outcome, detail = 'hang', ''
    except MemoryError:
        outcome, detail = 'memory', ''
    except Exception:
        outcome, detail = 'traceback', traceback.format_exc()
    if seen:
        outcome, detail = 'executed', '; '.join(seen)
    return outcome, detail


def limit_memory() -> None:
    """Let the program grow by so much and no more."""
    with open('/proc/self/statm') as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _hang(*_: Any) -> None:
    raise Hang


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--inputs', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, help='run this input alone')
    parser.add_argument('--keep', help='folder for the inputs that were findings')
    arguments = parser.parse_args()

    table = targets()
    seeds = [target.seeds() for target in table]
    everything = [seed for group in seeds for seed in group if len(seed) < 20_000]
    watch = Watch()
    signal.signal(signal.SIGALRM, _hang)
    counts: dict[str, collections.Counter[str]] = {target.name: collections.Counter() for target in table}
    slowest, started = (0.0, 0), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f'input{target.suffix}') for target in table]
        for target, group, path in zip(table, seeds, paths):  # imports what readers import late
            for seed in group:
                _write(path, target.pack(seed))
                with suppress(UserError):
                    target.read(path)
        limit_memory()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(arguments.inputs) if arguments.only is None else [arguments.only]:
            rng = random.Random(f'{arguments.seed}/{number}')
            row = number % len(table)
            content = table[row].pack(table[row].damage(rng, seeds[row], everything if rng.random() < 0.2 else ()))
            _write(paths[row], content)
            begun = time.monotonic()
            outcome, detail = judge(table[row], paths[row], watch)
            slowest = max(slowest, (time.monotonic() - begun, number))
            counts[table[row].name][outcome] += 1
            if outcome not in ('read', 'told') or arguments.only is not None:
                print(f'input {number}, {table[row].name}: {outcome}\n{detail}', flush=True)
                if arguments.keep:
                    os.makedirs(arguments.keep, exist_ok=True)
                    _write(os.path.join(arguments.keep, f'{arguments.seed}-{number}{table[row].suffix}'), content)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return _report(counts, slowest, grown, time.monotonic() - started, arguments.seed)


def _write(path: str, content: bytes) -> None:
    with open(path, 'wb') as file:
        file.write(content)


def _report(counts: dict[str, collections.Counter[str]], slowest: tuple[float, int], grown: float, seconds: float,
            seed: int) -> int:
    """Print the counts by outcome; the number of findings, at most 1."""
    total: collections.Counter[str] = collections.Counter()
    for counter in counts.values():
        total.update(counter)
    outcomes = ['read', 'told', *sorted(set(total) - {'read', 'told'})]
    print(f'{"":24} ' + ' '.join(f'{outcome:>11}' for outcome in outcomes))
    for name, counter in [*counts.items(), ('all', total)]:
        print(f'{name:24} ' + ' '.join(f'{counter[outcome]:11,}' for outcome in outcomes))
    findings = sum(count for outcome, count in total.items() if outcome not in ('read', 'told'))
    print(f'{sum(total.values()):,} inputs of seed {seed} in {seconds:.0f} s; slowest {slowest[0]:.2f} s (input '
          f'{slowest[1]}), memory grew by {grown:.0f} MB; {findings} findings')
    return min(findings, 1)


if __name__ == '__main__':
    sys.exit(main())
