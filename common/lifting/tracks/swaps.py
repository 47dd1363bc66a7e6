"""Left/right swaps: finds the frames in which a detector has exchanged left and right, and exchanges them back."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.lifting.tracks.tracking import Track

# All costs are in heights of the person. A change between swapped and not swapped must save this much of the joints'
# acceleration: crossing legs and clapping hands cause less, two legs that are exchanged in one frame much more.
CHANGE_COST = 0.3
SWAPPED_COST = 0.002  # a frame: the detector is right more often than not
TWIST_COST = 0.5  # a frame, times the width of hips or shoulders, if hips and shoulders face opposite ways
FEWEST_FRAMES = 5  # frames; fewer have too little motion for a decision
# If people move unpredictably from frame to frame (low rates, turns), a swap is not visible. The smallest acceleration
# of any choice of sides, averaged over the frames around, raises the cost of changes; above the limit none is made.
UNRULY_COST, UNRULY_LIMIT, AROUND = 2.5, 0.5, 7
FACING_COST = 1.0  # a frame, times the width of hips or shoulders, for swapping sides that agree with the face


def fix_swaps(track: Track) -> None:
    """Exchange left and right of the legs, and of the arms, in the frames in which the detector has swapped them.

    Dynamic programming over pairs of frames decides for each frame whether legs and arms are swapped. It minimises the
    accelerations of the joints (sum of their lengths) and twists of the trunk by half a turn. Sides that agree with the
    face are kept, and nothing is changed where the motion is too large to follow. A swap that lasts for more than half
    of the track is not found, because the motion does not show it.
    """
    if len(track.frames) < FEWEST_FRAMES or not track.complete.any():
        return
    points = track.keypoints / np.median(np.ptp(track.keypoints[track.complete][..., 1], axis=1))
    groups = [tuple(list(side) for side in zip(*pairs)) for pairs in (body.LEGS, body.ARMS)]
    bends = [_bends(points[:, right], points[:, left]) for right, left in groups]
    changes = np.stack([_change_costs(bend) for bend in bends], axis=1)
    states = _best_states(bends[0], bends[1], _twist(points), _against_face(points, track.facing), changes)
    for group, (right, left) in enumerate(groups):
        frames = np.flatnonzero(states[:, group] & np.isfinite(track.keypoints[:, right + left]).any((1, 2)))
        for values in (track.keypoints, track.scores, track.interpolated):
            values[frames[:, None], right + left] = values[frames[:, None], left + right]
        track.swapped[frames, group] = True


def _bends(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(T - 2, 2, 2, 2) sum of accelerations if frames t, t+1, t+2 are swapped (1) or not (0), without missing joints.

    Args:
        right, left: (T, joints, 2).
    """
    states = np.stack([np.stack([right, left]), np.stack([left, right])])  # (swapped, side, T, joints, 2)
    cost = np.empty((len(right) - 2, 2, 2, 2))
    for before, middle, after in np.ndindex(2, 2, 2):
        bend = states[before][:, :-2] - 2 * states[middle][:, 1:-1] + states[after][:, 2:]
        cost[:, before, middle, after] = np.nan_to_num(np.linalg.norm(bend, axis=-1)).sum((0, 2))
    return cost


def _twist(points: np.ndarray) -> np.ndarray:
    """(T, 2) by how much hips and shoulders face opposite ways: if both or none are swapped (0), if one is (1)."""
    hips, shoulders = (points[:, pairs[0][1]] - points[:, pairs[0][0]] for pairs in (body.LEGS, body.ARMS))
    lengths = np.stack([np.linalg.norm(hips, axis=-1), np.linalg.norm(shoulders, axis=-1)])
    along = (hips * shoulders).sum(-1) / np.maximum(lengths.max(0), 1e-6)  # the cosine times the shorter of them
    return np.nan_to_num(np.stack([np.maximum(-along, 0), np.maximum(along, 0)], axis=1))


def _against_face(points: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(T, 2) width of hips and of shoulders in frames in which their left and right agree with the face, else 0."""
    trunk = points[:, body.THORAX] - points[:, body.HIP]
    trunk = trunk / np.maximum(np.linalg.norm(trunk, axis=-1, keepdims=True), 1e-6)
    across = np.stack([points[:, pairs[0][1]] - points[:, pairs[0][0]] for pairs in (body.LEGS, body.ARMS)], axis=1)
    # Seen from the front, left is at the right of the image: positive for (right, down) axes and an upright trunk.
    width = across[..., 1] * trunk[:, None, 0] - across[..., 0] * trunk[:, None, 1]
    return np.nan_to_num(np.maximum(width * facing[:, None], 0))


def _change_costs(bends: np.ndarray) -> np.ndarray:
    """(T - 1,) cost of a change between a frame and the next."""
    least = bends.reshape(len(bends), -1).min(1)
    padded = np.pad(least, AROUND, mode='edge')
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1).mean(-1)
    around = np.append(around, around[-1])
    return np.where(around > UNRULY_LIMIT, 1e6, CHANGE_COST + UNRULY_COST * around)


def _best_states(legs: np.ndarray, arms: np.ndarray, twist: np.ndarray, against: np.ndarray,
                 changes: np.ndarray) -> np.ndarray:
    """(T, 2) whether legs and arms of each frame are swapped, with the least total cost (Viterbi)."""
    pairs = np.array([(a, b) for a in range(2) for b in range(2)])  # states: legs, arms
    own = SWAPPED_COST * pairs.sum(1) + TWIST_COST * twist[:, pairs[:, 0] ^ pairs[:, 1]]  # (T, 4)
    own = own + FACING_COST * against @ pairs.T
    changed = pairs[:, None] != pairs
    change = np.moveaxis(changed @ changes.T, -1, 0)  # (T - 1, 4, 4)
    best = own[0][:, None] + own[1] + change[0]
    back = np.empty((len(legs), 4, 4), np.int8)
    for time in range(len(legs)):
        bend = legs[time][:, None, :, None, :, None] + arms[time][None, :, None, :, None, :]
        total = best[:, :, None] + bend.reshape(4, 4, 4) + change[time + 1] + own[time + 2]  # (before, middle, after)
        back[time] = total.argmin(0)
        best = total.min(0)
    path = np.empty(len(twist), np.int8)
    middle, after = divmod(int(best.argmin()), 4)
    path[-2:] = middle, after
    for time in range(len(legs) - 1, -1, -1):
        middle, after = int(back[time, middle, after]), middle
        path[time] = middle
    return pairs.astype(bool)[path]
