"""Signals that ask a run to end: noted, so that the step under way can be finished and saved."""

from __future__ import annotations

import signal
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Within it SIGINT and SIGTERM are only noted; a second one of a kind does what it always does.

    Attributes:
        caught: number of the first signal, 0 while there is none.
    """

    def __init__(self) -> None:
        self.caught = 0

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._note) for number in _ENDING}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.caught = self.caught or number
        signal.signal(number, self._before[signal.Signals(number)])
