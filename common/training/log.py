"""A run's folder and its logs: log.txt, curves, TensorBoard."""

from __future__ import annotations

import os
from datetime import datetime

from common import distributed
from common.errors import UserError
from common.files.atomic import atomic_write

COLUMNS = ('epoch', 'lr', 'loss_train', 'error_eval_p1', 'error_eval_p2')
Row = tuple[int, float, float, float, float]


def make_run_folder(root: str) -> str:
    """Make a new folder for a run under `root` and return its path.

    Its name is the time, ISO 8601 without the colons that Windows refuses. Runs that start in the same second get
    different folders.
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
    raise UserError(f'{root} has a thousand runs of the same second; choose another folder with --checkpoint.')


class RunLog:
    """`log.txt`: one line an epoch, in the five published columns. Each write replaces the file, so no line is torn.

    As a context it writes the file at once, because a resume recognises a run's folder by its log. The first of several
    processes alone writes.

    Args:
        folder: of the run.
        epoch: completed epochs; later lines of an existing log are dropped, because a resume trains their epochs again.
        tensorboard: write TensorBoard scalars, too.
    Raises:
        UserError: the folder has another kind of log, or the package of TensorBoard is not installed.
    """

    def __init__(self, folder: str, epoch: int = 0, tensorboard: bool = False) -> None:
        self.path = os.path.join(folder, 'log.txt')
        self.lines = [line for line in self._existing() if int(float(line.split('\t')[0])) <= epoch]
        self.tensorboard = TensorBoard(folder, epoch) if tensorboard and not distributed.rank() else None

    def __enter__(self) -> RunLog:
        self.write()
        return self

    def __exit__(self, *_: object) -> None:
        if self.tensorboard:
            self.tensorboard.close()

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
        if self.tensorboard:
            self.tensorboard.append(row)

    def write(self) -> None:
        if not distributed.rank():
            with atomic_write(self.path, 'w') as file:
                file.write('\n'.join(['\t'.join(COLUMNS), *self.lines, '']))

    @property
    def rows(self) -> list[list[float]]:
        return [[float(cell) for cell in line.split('\t') if cell] for line in self.lines]


def draw_curves(rows: list[list[float]], path: str) -> None:
    """Draw a log's loss and errors over the epochs."""
    from matplotlib.figure import Figure  # takes half a second to import, and only the end of a run needs it

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
