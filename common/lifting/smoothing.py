"""Smoothing of positions over time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class OneEuro:
    """The One-Euro filter (Casiez et al., CHI 2012): a low-pass whose cutoff rises with the speed of the joint.

    The cutoff follows the speed of the joint in space, not of each coordinate: turning the axes changes nothing.

    Args:
        min_cutoff: Hz, of a joint at rest; lower is smoother and lags more.
        beta: how many Hz the cutoff rises for each unit of length a second.
        derivative_cutoff: Hz, of the speed itself.
    """

    def __init__(self, min_cutoff: float = 1.5, beta: float = 3.0, derivative_cutoff: float = 1.0) -> None:
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.reset()

    def reset(self) -> None:
        """Start again: the next value is passed on unchanged."""
        self._value: np.ndarray | None = None
        self._speed: np.ndarray | float = 0.0

    def __call__(self, value: np.ndarray, seconds: float) -> np.ndarray:
        """Filter the next (J, D) values, `seconds` after the last ones."""
        if self._value is None:
            self._value = np.array(value, np.float64)
            self._speed = np.zeros_like(self._value)
            return self._value
        speed = (value - self._value) / seconds
        self._speed = self._speed + _share(self.derivative_cutoff, seconds) * (speed - self._speed)
        cutoff = self.min_cutoff + self.beta * np.linalg.norm(self._speed, axis=-1, keepdims=True)
        self._value = self._value + _share(cutoff, seconds) * (value - self._value)
        return self._value


def _share(cutoff: Any, seconds: float) -> Any:
    """Weight of a new value in a low-pass of this cutoff."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))


def smooth(positions: np.ndarray, fps: float, min_cutoff: float = 1.5, beta: float = 3.0) -> np.ndarray:
    """Filter a track's positions (T, J, D) with `OneEuro`, starting again after every gap (NaN)."""
    smoothed = positions.copy()
    there = np.isfinite(positions).all((1, 2))
    for start, end in runs(there):
        euro = OneEuro(min_cutoff, beta)
        for row in range(start, end):
            smoothed[row] = euro(positions[row], 1 / fps)
    return smoothed


def runs(there: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of every unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
