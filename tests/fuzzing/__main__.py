"""A long run of damaged files against every reader: `python -m tests.fuzzing.__main__ --inputs 10000 --seed 0`.

Each input must end in data or in one sentence (`UserError`), within 10 s and 2 GB, and run nothing. Input number n of a
seed is always the same; `--only n` runs that one alone, with a traceback.
"""

import argparse
import collections
import faulthandler
import importlib
import io
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress

os.environ.setdefault('OMP_NUM_THREADS', '1')

from common.errors import UserError
from data.archives import limit_memory
from data.prepare_data_h36m import MEMORY
from tests.fuzzing import detections as fuzz_detections
from tests.fuzzing import npz as fuzz_npz
from tests.fuzzing import sources as fuzz_sources
from tests.fuzzing.target import Target

SECONDS, BYTES = 10, 2 << 30
# What Python reports before it does it, and what no reader of data has to do; the last is Python's own unpickler.
FORBIDDEN = ('exec', 'os.system', 'os.exec', 'os.fork', 'os.posix_spawn', 'os.spawn', 'subprocess.', 'socket.',
             'ctypes.', 'os.remove', 'os.rename', 'os.mkdir', 'os.chmod', 'shutil.', 'webbrowser.', 'pickle.find_class')


# The last: a library crashed, went on for ever or ran out of memory in a process of its own, which the program reports.
GOOD = ('read', 'refused', 'apart')


class Hang(BaseException):
    """Not an Exception, so that no reader takes it for damage."""


class Watch:
    """Notes what Python reports of forbidden deeds while a reader is at work."""

    def __init__(self, folder: str) -> None:
        self.folder = folder  # in which files may be made
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.active and event.startswith(FORBIDDEN) and not str(*arguments[:1]).startswith(self.folder):
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
    """(outcome, detail): an outcome in `GOOD` is good, any other is a finding."""
    silence = io.StringIO()
    try:
        with watch() as seen, redirect_stdout(silence), redirect_stderr(silence):
            target.read(path)
        outcome, detail = 'read', ''
    except UserError as error:
        outcome, detail = 'refused', str(error)
        if 'MemoryError' in detail or 'Unable to allocate' in detail:  # NumPy's; torch.load has another message
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


def judge_apart(target: Target, path: str, watch: Watch) -> tuple[str, str]:
    """As `judge`, in a process of its own and with less memory, as the program does."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if not child:
        limit_memory(MEMORY)
        sender.send(judge(target, path, watch))
        os._exit(0)
    sender.close()
    try:
        outcome, detail = receiver.recv()
    except EOFError:
        outcome, detail = 'apart', 'it crashed'
    os.waitpid(child, 0)
    return ('apart' if outcome in ('hang', 'memory') else outcome), detail


def _hang(*_: object) -> None:
    raise Hang


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--inputs', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, help='run this input alone')
    parser.add_argument('--keep', help='folder for the inputs that were findings')
    arguments = parser.parse_args()

    table = [*fuzz_npz.targets(), *fuzz_sources.targets(), *fuzz_detections.targets()]
    seeds = [target.seeds() for target in table]
    everything = [seed for group in seeds for seed in group if len(seed) < 20_000]
    signal.signal(signal.SIGALRM, _hang)
    counts: dict[str, collections.Counter[str]] = {target.title: collections.Counter() for target in table}
    slowest, started = (0.0, 0), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        watch = Watch(folder)
        paths = [os.path.join(folder, str(row), target.name) for row, target in enumerate(table)]
        for module in ('torch._dynamo', 'torch._subclasses.schema_check_mode'):  # which torch imports late itself
            importlib.import_module(module)
        for encoding in ('utf-16', 'utf-16-le', 'utf-8-sig', 'latin-1'):
            ''.encode(encoding)  # Python imports an encoding at its first use
        for target, group, path in zip(table, seeds, paths):  # imports what readers import late
            os.makedirs(os.path.dirname(path))
            for name, content in target.beside().items():
                _write(os.path.join(os.path.dirname(path), name), content)
            for seed in group:
                _write(path, target.pack(seed))
                with suppress(UserError), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    target.read(path)
        limit_memory(BYTES)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with suppress(KeyboardInterrupt):  # what has been tried until then is reported
            for number in range(arguments.inputs) if arguments.only is None else [arguments.only]:
                rng = random.Random(f'{arguments.seed}/{number}')
                row = number % len(table)
                target, path = table[row], paths[row]
                content = target.pack(target.damage(rng, seeds[row], everything if rng.random() < 0.2 else ()))
                _write(path, content)
                begun = time.monotonic()
                outcome, detail = (judge_apart if target.apart else judge)(target, path, watch)
                slowest = max(slowest, (time.monotonic() - begun, number))
                counts[target.title][outcome] += 1
                if outcome not in GOOD or arguments.only is not None:
                    print(f'input {number}, {target.title}: {outcome}\n{detail}', flush=True)
                    if arguments.keep:
                        os.makedirs(arguments.keep, exist_ok=True)
                        _write(os.path.join(arguments.keep, f'{arguments.seed}-{number}-{target.name.split("/")[-1]}'),
                               content)
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
    outcomes = [*GOOD, *sorted(set(total) - set(GOOD))]
    print(f'{"":24} ' + ' '.join(f'{outcome:>11}' for outcome in outcomes))
    for name, counter in [*counts.items(), ('all', total)]:
        print(f'{name:24} ' + ' '.join(f'{counter[outcome]:11,}' for outcome in outcomes))
    findings = sum(count for outcome, count in total.items() if outcome not in GOOD)
    print(f'{sum(total.values()):,} inputs of seed {seed} in {seconds:.0f} s; slowest {slowest[0]:.2f} s (input '
          f'{slowest[1]}), memory grew by {grown:.0f} MB; {findings} findings')
    return min(findings, 1)


if __name__ == '__main__':
    sys.exit(main())
