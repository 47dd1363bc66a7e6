"""The progress of a long task, on a terminal or in a log file."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_LINE_EVERY = 10.0  # seconds between lines where the output is no terminal


class Progress:
    """Reports progress through poses: a bar on a terminal, otherwise a plain line every ten seconds.

    Args:
        label: of the task.
        total: number of poses.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.start = self.last_line = time.monotonic()
        self.bar = tqdm(total=total, desc=label, unit='pose', unit_scale=True, leave=False, dynamic_ncols=True,
                        disable=not sys.stderr.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, done: int, loss: float | None = None) -> None:
        """Report how many poses are done, and the mean loss so far (m^2)."""
        if not self.bar.disable:
            if loss is not None:
                self.bar.set_postfix_str(f'loss {loss:.5f}', refresh=False)
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last_line > _LINE_EVERY:
            self.last_line = time.monotonic()
            rate = done / (self.last_line - self.start)
            loss_text = '' if loss is None else f', loss {loss:.5f}'
            print(f'{self.label}: {done:,} of {self.total:,} poses{loss_text}, {rate:,.0f} poses/s, '
                  f'{(self.total - done) / rate:.0f} s left', flush=True)
