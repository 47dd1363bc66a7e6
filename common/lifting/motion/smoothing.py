"""Smoothing over time: without lag for whole clips, and with the One-Euro filter for live poses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

CUTOFF = 6.0  # Hz, of clips; usual for human motion (Winter, Biomechanics and Motor Control of Human Movement)


def stiffness(cutoff: float, fps: float) -> float:
    """Weight of squared second differences that halves the amplitude at `cutoff`; 0 from half the frame rate on.

    The response of `smooth` is 1 / (1 + weight (2 sin(pi f / fps))^4), close to the response of a second-order
    Butterworth filter run forward and backward.
    """
    return 0.0 if cutoff >= fps / 2 else (2 * math.sin(math.pi * cutoff / fps)) ** -4


def smooth(values: np.ndarray, fps: float, cutoff: float = CUTOFF) -> np.ndarray:
    """Zero-phase smoothing: the x that minimise sum (x - values)^2 + stiffness sum (second difference of x)^2.

    Args:
        values: (T, ...); frames with a NaN are gaps: they stay NaN, and the motion is smooth across them.
        fps: frames a second.
        cutoff: Hz; lower is smoother.
    """
    present = np.isfinite(values).reshape(len(values), -1).all(1)
    weight = stiffness(cutoff, fps)
    if not weight or present.sum() < 3:
        return values.copy()
    bands = second_differences(len(values)) * weight
    bands[-1] += present
    bands[-1] += 1e-9 * ~present
    factor = cholesky_banded(bands)
    smoothed = np.full(values.shape, np.nan, values.dtype)
    columns, results = values.reshape(len(values), -1), smoothed.reshape(len(values), -1)
    for column in range(columns.shape[1]):  # one at a time: memory stays small for clips of hours
        given = np.where(present, columns[:, column], 0).astype(np.float64)
        results[present, column] = cho_solve_banded((factor, False), given)[present]
    return smoothed


def second_differences(count: int) -> np.ndarray:
    """(3, T) upper bands, in the layout of `cholesky_banded`, of D'D for the second differences D of T values."""
    bands = np.zeros((3, count))
    for factor, at in ((1, 0), (-2, 1), (1, 2)):
        for other, also in ((1, 0), (-2, 1), (1, 2)):
            if also >= at and count > 2:
                bands[2 - (also - at), also:count - 2 + also] += factor * other
    return bands


class OneEuro:
    """The One-Euro filter (Casiez et al., CHI 2012): a low-pass whose cutoff rises with the speed of the joint.

    The cutoff follows the speed of the joint in space, not of each coordinate, so it does not depend on the axes.

    Args:
        min_cutoff: Hz, of a joint at rest; lower is smoother and lags more.
        beta: how many Hz the cutoff rises for each unit of length a second.
        derivative_cutoff: Hz, of the speed itself.
    """

    def __init__(self, min_cutoff: float = 1.5, beta: float = 3.0, derivative_cutoff: float = 1.0) -> None:
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.reset()

    def reset(self) -> None:
        """Start again: the next value is returned unchanged."""
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


def runs(there: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of every unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
