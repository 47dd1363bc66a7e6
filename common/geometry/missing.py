"""Which joints a detector did not find: one reading for data sets and for `predict.py`."""

from __future__ import annotations

import numpy as np


def missing_joints(points: np.ndarray, scores: np.ndarray | None = None) -> np.ndarray:
    """(...) bool, True where a joint was not found: it is not finite, is a mark, or has no positive score.

    Detectors write marks like (0, 0), (-1, -1) or (-100, -100) in place of a joint that they did not find.

    Args:
        points: (..., 2) pixels.
        scores: (...) of the joints; None where there are none.
    """
    x, y = points[..., 0], points[..., 1]
    missing = ~(np.isfinite(x) & np.isfinite(y))
    missing |= (x == y) & (x <= 0) & (x == np.rint(x))
    return missing if scores is None else missing | ~(scores > 0)
