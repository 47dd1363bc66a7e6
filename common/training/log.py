"""A run's folder and what is told of the run: progress, log.txt, curves, TensorBoard."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from tqdm import tqdm

from common.errors import UserError
from common.files.atomic import atomic_write

COLUMNS = ('epoch', 'lr', 'loss_train', 'error_eval_p1', 'error_eval_p2')
Row = tuple[int, float, float, float, float]
_LINE_EVERY = 10.0  # seconds between progress lines where the output is no terminal


class Progress:
    """A tqdm bar on a terminal; elsewhere a plain line now and then, so that a log file stays readable.

    Args:
        label: what is going on.
        total: poses to go through.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.start = self.last_line = time.monotonic()
        self.bar = tqdm(total=total, desc=label, unit='pose', unit_scale=True, leave=False, dynamic_ncols=True,
                        disable=not sys.stderr.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def __call__(self, done: int, loss: float | None = None) -> None:
        """Tell how many poses are done, and the mean loss so far (m^2)."""
        if not self.bar.disable:
            if loss is not None:
                self.bar.set_postfix_str(f'loss {loss:.5f}', refresh=False)
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last_line > _LINE_EVERY:
            self.last_line = time.monotonic()
            rate = done / (self.last_line - self.start)
            told = '' if loss is None else f', loss {loss:.5f}'
            print(f'{self.label}: {done:,} of {self.total:,} poses{told}, {rate:,.0f} poses/s, '
                  f'{(self.total - done) / rate:.0f} s left', flush=True)


def make_run_folder(root: str) -> str:
    """Make a folder of its own for a run under `root`, named by the time: ISO 8601, less the colons Windows refuses.

    Runs that start in the same second get different folders.
    """
    name = datetime.now().strftime('%Y-%m-%dT%H%M%S')
    for attempt in range(1, 1000):
        folder = os.path.join(root, name if attempt == 1 else f'{name}-{attempt}')
        try:
            os.makedirs(folder)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f'{folder} cannot be made: {error.strerror}; choose another folder with '
                            f'--checkpoint.') from error
        return folder
    raise UserError(f'{root} has a thousand runs of this second; choose another folder with --checkpoint.')


class RunLog:
    """`log.txt`: one line an epoch, in the five published columns. It is rewritten whole, so a line is never torn.

    Args:
        folder: the run's.
        epoch: epochs done; lines of an existing log beyond it are of a future that a resume has undone.
    """

    def __init__(self, folder: str, epoch: int = 0) -> None:
        self.path = os.path.join(folder, 'log.txt')
        self.lines = [line for line in self._existing() if int(float(line.split('\t')[0])) <= epoch]

    def _existing(self) -> list[str]:
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding='utf-8', errors='replace') as file:
            header, *lines = file.read().splitlines() or ['']
        try:
            if tuple(header.split()) != COLUMNS or any(len([float(cell) for cell in line.split('\t') if cell]) != 5
                                                       for line in lines):
                raise ValueError
        except ValueError:
            raise UserError(f'{self.path} is not a log of this program; move it away to go on in its folder.') from None
        return lines

    def append(self, row: Row) -> None:
        epoch, *numbers = row
        self.lines.append('\t'.join([str(epoch), *(f'{number:.9g}' for number in numbers)]))
        self.write()

    def write(self) -> None:
        with atomic_write(self.path, 'w') as file:
            file.write('\n'.join(['\t'.join(COLUMNS), *self.lines, '']))

    @property
    def rows(self) -> list[list[float]]:
        return [[float(cell) for cell in line.split('\t') if cell] for line in self.lines]


def draw_curves(rows: list[list[float]], path: str) -> None:
    """Draw a log's loss and errors over the epochs."""
    from matplotlib.figure import Figure  # half a second to import, for the end of a run only

    epochs, _, losses, p1, p2 = zip(*rows, strict=True)
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    left.semilogy(epochs, losses, color='#0072B2', marker='.')
    left.set(xlabel='epoch', ylabel='training loss (m²)')
    right.plot(epochs, p1, color='#0072B2', marker='.', label='MPJPE')
    right.plot(epochs, p2, color='#D55E00', marker='.', label='P-MPJPE')
    right.set(xlabel='epoch', ylabel='error on the test set, mean over poses (mm)', ylim=(0, None))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    with atomic_write(path) as file:
        figure.savefig(file, format='png', dpi=110)


class TensorBoard:
    """The same five columns as TensorBoard scalars, in the run's folder.

    Raises:
        UserError: the optional package is not installed.
    """

    def __init__(self, folder: str, epoch: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError('--tensorboard needs the package tensorboard: pip install tensorboard.') from None
        self.writer = SummaryWriter(folder, purge_step=epoch + 1)

    def append(self, row: Row) -> None:
        for name, value in zip(COLUMNS[1:], row[1:], strict=True):
            self.writer.add_scalar(name, value, row[0])
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()
