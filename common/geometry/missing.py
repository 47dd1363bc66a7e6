"""Which joints a detector did not find: one reading for data sets and for `predict.py`."""

from __future__ import annotations

import numpy as np

PLACEHOLDERS = (0.0, -1.0)  # detectors write (0, 0) or (-1, -1) in place of a joint that they did not find


def missing_joints(points: np.ndarray, scores: np.ndarray | None = None) -> np.ndarray:
    """(...) bool, True where a joint was not found: it is not finite, is a placeholder, or has no positive score.

    Args:
        points: (..., 2) pixels.
        scores: (...) of the joints; None where there are none.
    """
    missing = ~np.isfinite(points).all(-1)
    for place in PLACEHOLDERS:
        missing |= (points == place).all(-1)
    return missing if scores is None else missing | ~(scores > 0)
