"""Signals that ask a run to end: recorded, so that the current step can be finished and saved."""

from __future__ import annotations

import signal
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Within this context SIGINT and SIGTERM are only recorded; a second signal of a kind has its usual effect.

    Attributes:
        caught: number of the first signal, 0 before one arrives.
        active: whether signals are recorded now.
    """

    def __init__(self) -> None:
        self.caught, self.active = 0, False

    def __enter__(self) -> Signals:
        self.active = True
        self._before = {number: signal.signal(number, self._note) for number in _ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        self.active = False
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.caught = self.caught or number
        signal.signal(number, self._before[signal.Signals(number)])
