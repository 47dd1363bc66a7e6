"""From the people of each frame to the track of each person: who is who, gaps, swapped sides, smoothing.

People without identifiers are matched from frame to frame greedily, the best pair first, by the overlap of their boxes
and the distance of their joints. (The optimal assignment differs only where people cover each other, and there the
costs themselves cannot be trusted.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from common.errors import UserError, listing, warn
from common.lifting.formats.people import Detections
from common.lifting.layouts import JOINTS, Layout, to_h36m

MAX_ROWS = 2_000_000  # of all tracks together; a row takes 400 bytes and more
# Numbers of frames are claims: how many rows a few detections may make, and how many each further one.
FREE_ROWS, ROWS_EACH = 10_000, 100
MAX_COST = 1.2  # of a match: 1 - overlap + distance of the joints in sizes of the person; different people cost more


@dataclass
class Track:
    """One person through a clip.

    Attributes:
        name: the file's identifier, or a number.
        frames: (T,) numbers of the frames, evenly spaced from the first to the last with this person.
        keypoints: (T, 16, 2) pixels; NaN where a joint is missing.
        scores: (T, 16); 0 where a joint was not found.
        interpolated: (T, 16) whether a joint was put between its places before and after.
        swapped: (T, 2) whether left and right of the legs, and of the arms, were exchanged.
        score: mean confidence of the detector in the person.
    """

    name: str
    frames: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    interpolated: np.ndarray
    swapped: np.ndarray
    score: float = 1.0

    @property
    def step(self) -> int:
        """Frames of the video from one row to the next."""
        return int(self.frames[1] - self.frames[0]) if len(self.frames) > 1 else 1

    @property
    def complete(self) -> np.ndarray:
        """(T,) whether no joint is missing, so that the pose can be lifted."""
        return np.isfinite(self.keypoints).all((1, 2))

    @property
    def weight(self) -> float:
        """Prominence of the person: frames x confidence x height in the image."""
        if not self.complete.any():
            return 0.0
        height = np.median(np.ptp(self.keypoints[self.complete][..., 1], axis=1))
        return float(self.complete.sum() * self.score * height)


@dataclass(frozen=True)
class _Seen:
    """Everybody of all frames in a row."""

    frame: np.ndarray  # (N,)
    keypoints: np.ndarray  # (N, 16, 2)
    scores: np.ndarray  # (N, 16)
    score: np.ndarray  # (N,)
    names: list[str | None]


def make_tracks(detections: Detections, layout: Layout, trained_on: str = 'gt', min_score: float = 0.0,
                max_lost: int = 15) -> list[Track]:
    """The track of each person, in the 16 joints.

    Args:
        detections: in pixels.
        trained_on: 'gt' or 'sh', as for `to_h36m`.
        min_score: joints of a lower score count as missing.
        max_lost: a person not seen for more frames than this gets a new track.
    Raises:
        UserError: a track spans far more frames than it has detections.
    """
    seen = _gather(detections, layout, trained_on, min_score)
    if detections.joined:
        groups = {'0': list(range(len(seen.frame)))}
    elif any(name is not None for name in seen.names):
        groups = _by_name(detections.path, seen)
    else:
        step = _step(list(detections.people))
        groups = _by_place(seen, max_lost * step)
    frames = list(detections.people)
    step = _step(frames)
    whole = (frames[0], frames[-1]) if detections.joined else None
    spans = {name: whole or (int(seen.frame[rows].min()), int(seen.frame[rows].max()))
             for name, rows in groups.items() if rows}
    _check_spans(detections.path, spans, step, len(seen.frame))
    return [_track(name, seen, groups[name], step, *span) for name, span in spans.items()]


def _check_spans(path: str, spans: dict[str, tuple[int, int]], step: int, detected: int) -> None:
    lengths = {name: (last - first) // step + 1 for name, (first, last) in spans.items()}
    if sum(lengths.values()) > min(MAX_ROWS, FREE_ROWS + ROWS_EACH * detected):
        name = max(lengths, key=lengths.__getitem__)
        raise UserError(f'{path} has {detected:,} detections, but track {name} spans {lengths[name]:,} frames, from '
                        f'{spans[name][0]} to {spans[name][1]}: are these numbers of frames of one video?')


def _gather(detections: Detections, layout: Layout, trained_on: str, min_score: float) -> _Seen:
    everybody = [(frame, who) for frame, people in detections.people.items() for who in people]
    keypoints = np.stack([who.keypoints for _, who in everybody])
    scores = np.stack([who.scores for _, who in everybody])
    low = scores < min_score
    made, made_scores = to_h36m(np.where(low[..., None], np.nan, keypoints), scores, layout, trained_on)
    made_scores = np.where(np.isnan(made[..., 0]), 0.0, made_scores)
    there = np.isfinite(made).any((1, 2))
    return _Seen(np.array([frame for frame, _ in everybody], np.int64)[there], made[there], made_scores[there],
                 np.array([who.score for _, who in everybody])[there],
                 [who.track for (_, who), some in zip(everybody, there) if some])


def _step(frames: Sequence[int]) -> int:
    """Distance of the frames that were searched: 5 for frames 0, 5, 10, 20."""
    return math.gcd(*(after - before for before, after in pairwise(frames))) or 1


def _by_name(path: str, seen: _Seen) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    nameless = doubles = 0
    for row, name in enumerate(seen.names):
        if name is None:
            nameless += 1
            continue
        rows = groups.setdefault(name, [])
        if rows and seen.frame[rows[-1]] == seen.frame[row]:
            doubles += 1
            if seen.score[rows[-1]] >= seen.score[row]:
                continue
            rows.pop()
        rows.append(row)
    if nameless:
        warn(f'{path}: {nameless} of {len(seen.names)} detections have no identifier, while others have, and are left '
             f'out.')
    if doubles:
        warn(f'{path}: {doubles} times an identifier stands twice in a frame; the more confident detection is taken.')
    return groups


def _by_place(seen: _Seen, max_lost: int) -> dict[str, list[int]]:
    tracks: list[list[int]] = []
    boxes = np.concatenate([np.nanmin(seen.keypoints, 1), np.nanmax(seen.keypoints, 1)], axis=1)
    numbers, starts = np.unique(seen.frame, return_index=True)
    active: list[int] = []
    for number, start, end in zip(numbers, starts, [*starts[1:], len(seen.frame)]):
        active = [track for track in active if number - seen.frame[tracks[track][-1]] <= max_lost]
        last = [tracks[track][-1] for track in active]
        free, taken = set(range(start, end)), set()
        cost = _cost(seen.keypoints[last], boxes[last], seen.keypoints[start:end], boxes[start:end])
        for flat in np.argsort(cost, axis=None, kind='stable'):
            old, new = divmod(int(flat), int(end - start))
            if not cost[old, new] <= MAX_COST:
                break
            if old not in taken and start + new in free:
                tracks[active[old]].append(start + new)
                taken.add(old)
                free.remove(start + new)
        for row in sorted(free):
            active.append(len(tracks))
            tracks.append([row])
    return {str(index): rows for index, rows in enumerate(tracks)}


def _cost(old: np.ndarray, old_boxes: np.ndarray, new: np.ndarray, new_boxes: np.ndarray) -> np.ndarray:
    """(M, N) of matching M people to N: 1 - intersection over union, and the mean distance of the joints in sizes."""
    a, b = old_boxes[:, None], new_boxes[None]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    area_a, area_b = (np.clip(box[..., 2:] - box[..., :2], 1, None).prod(-1) for box in (a, b))
    union = area_a + area_b - overlap
    distance = np.linalg.norm(old[:, None] - new[None], axis=-1)  # (M, N, 16)
    common = np.isfinite(distance)
    mean = np.where(common, distance, 0).sum(-1) / np.maximum(common.sum(-1), 1)
    between = np.linalg.norm((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2, axis=-1)
    mean = np.where(common.any(-1), mean, between)
    return 1 - overlap / union + mean / np.sqrt(np.maximum(area_a, area_b))


def _track(name: str, seen: _Seen, rows: list[int], step: int, first: int, last: int) -> Track:
    rows = sorted(rows, key=lambda row: seen.frame[row])
    length = (last - first) // step + 1
    places = (seen.frame[rows] - first) // step
    keypoints, scores = np.full((length, JOINTS, 2), np.nan), np.zeros((length, JOINTS))
    keypoints[places], scores[places] = seen.keypoints[rows], seen.scores[rows]
    return Track(name, first + step * np.arange(length, dtype=np.int64), keypoints, scores,
                 np.zeros((length, JOINTS), bool), np.zeros((length, 2), bool), float(seen.score[rows].mean()))


def fill_gaps(track: Track, max_gap: int) -> None:
    """Interpolate missing joints over gaps of at most `max_gap` frames."""
    rows = np.arange(len(track.frames))
    for joint in range(JOINTS):
        there = np.isfinite(track.keypoints[:, joint]).all(-1)
        if there.all() or not there.any():
            continue
        known = np.flatnonzero(there)
        after = np.searchsorted(known, rows)
        inside = ~there & (after > 0) & (after < len(known))
        gap = known[np.minimum(after, len(known) - 1)] - known[np.maximum(after - 1, 0)] - 1
        fill = inside & (gap <= max_gap)
        for axis in range(2):
            track.keypoints[fill, joint, axis] = np.interp(rows[fill], known, track.keypoints[known, joint, axis])
        track.interpolated[fill, joint] = True


def choose(tracks: list[Track], person: str, path: str) -> list[Track]:
    """The tracks of `--person`: 'all', 'best' (the most frames, confident and large), or an identifier.

    Raises:
        UserError: there is no such person.
    """
    if person == 'best':
        return [max(tracks, key=lambda track: track.weight)]
    chosen = tracks if person == 'all' else [track for track in tracks if track.name == person]
    if not chosen:
        raise UserError(f'--person {person}: {path} has the people {listing([track.name for track in tracks], 20)}.')
    return chosen
