"""Joints that a detector throws far away for a moment."""

from __future__ import annotations

import numpy as np

from common.errors import warn
from common.lifting.tracks.tracking import Track

LEAP = 4.0  # heights of the person a second: nobody moves a joint out and back so fast
LONGEST = 0.2  # seconds
BACK = 0.1  # heights of the person: how near to its place a joint comes back
SLOWEST = 15.0  # frames a second, below which quick motion looks the same


def drop_outliers(track: Track, fps: float) -> int:
    """Take joints for missing that leap away in one frame and leap back to their place within `LONGEST`.

    Args:
        fps: frames a second of the track.
    Returns:
        the number of joints, of all frames.
    """
    if fps < SLOWEST or len(track.frames) < 3:
        return 0
    points = track.keypoints
    with np.errstate(invalid='ignore', divide='ignore'):
        steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)  # (T - 1, J)
        low, high = (bound(points, 1, initial=end, where=np.isfinite(points))
                     for bound, end in ((np.min, np.inf), (np.max, -np.inf)))
        size = (high - low).max(1)  # (T,)
        steps /= size[:-1, None]
        leaps = steps > LEAP / fps
    finite = steps[np.isfinite(steps)]
    if not len(finite) or np.percentile(finite, 95) > LEAP / fps:  # everything leaps: the rate is lower than given
        return 0
    dropped = np.zeros(points.shape[:2], bool)
    for joint in range(points.shape[1]):
        frames = np.flatnonzero(leaps[:, joint])  # the last frame before each leap
        for before in frames:
            for back in frames[(frames > before) & (frames <= before + LONGEST * fps)]:
                away = np.linalg.norm(points[back + 1, joint] - points[before, joint])
                if away < BACK * size[before] and not dropped[before, joint]:
                    dropped[before + 1:back + 1, joint] = True
                    break
    if dropped.any():
        warn(f'track {track.name}: joints that leap away and back within {LONGEST:g} s count as missing while they are '
             f'away, {dropped.sum()} in all.')
    points[dropped], track.scores[dropped] = np.nan, 0.0
    return int(dropped.sum())
