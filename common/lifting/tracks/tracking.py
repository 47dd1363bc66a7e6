"""From the people of each frame to the track of each person: identity and gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from common.errors import UserError, listing
from common.geometry.detector_layouts import OWN, Layout, facing, to_h36m
from common.lifting.formats.people import Detections
from common.lifting.tracks.matching import TrackedPerson, by_name, by_place, names_are_usable

MAX_ROWS = 2_000_000  # of all tracks together; a row takes 400 bytes and more
# Frame numbers are only claims, so the rows are limited: for any file, and further rows for each detection.
FREE_ROWS, ROWS_EACH = 10_000, 100
SHORTEST = 5  # frames; a shorter track is a false detection if others are much longer


@dataclass
class Track:
    """One person through a clip.

    Attributes:
        name: the file's identifier, or a number.
        frames: (T,) numbers of the frames, evenly spaced from the first to the last with this person.
        keypoints: (T, 16, 2) pixels, or of a checkpoint's own J joints; NaN where a joint is missing.
        scores: (T, 16); 0 where a joint was not found.
        interpolated: (T, 16) whether a joint was interpolated from the frames before and after.
        swapped: (T, 2) whether left and right of the legs, and of the arms, were exchanged.
        score: mean confidence of the detector in the person.
        facing: (T,) 1 if the person is seen from the front, -1 from behind, 0 if it is not clear.
        hidden: (T, 16) joints whose place the detector only guessed.
        size: of the picture, where pictures differ.
    """

    name: str
    frames: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    interpolated: np.ndarray
    swapped: np.ndarray
    score: float = 1.0
    facing: np.ndarray = field(default_factory=lambda: np.zeros(0))
    hidden: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.facing) != len(self.frames):
            self.facing = np.zeros(len(self.frames))
        if len(self.hidden) != len(self.frames):
            self.hidden = np.zeros(self.scores.shape, bool)

    @property
    def seen(self) -> int:
        """The number of frames in which the detector found any joint of the person."""
        return int((self.scores > 0).any(1).sum())

    @property
    def step(self) -> int:
        """The number of video frames from one row to the next."""
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


def make_tracks(detections: Detections, layout: Layout, trained_on: str = 'gt', min_score: float = 0.0,
                max_lost: int = 15) -> list[Track]:
    """The track of each person, in the 16 joints or the joints of the layout `OWN`.

    Args:
        detections: in pixels.
        trained_on: 'gt' or 'sh', as for `to_h36m`.
        min_score: joints of a lower score count as missing.
        max_lost: a person not seen for more frames than this gets a new track.
    Raises:
        UserError: a track spans far more frames than it has detections.
    """
    seen = _gather(detections, layout, trained_on, min_score)
    frames = list(detections.people)
    step = _step(frames)
    if detections.photos:
        return _pictures(detections, seen)
    if detections.joined:
        groups = {'0': list(range(len(seen.frame)))}
    elif names_are_usable(detections.path, seen):
        groups = by_name(detections.path, seen)
    else:
        groups = by_place(seen, max_lost * step)
    whole = (frames[0], frames[-1]) if detections.joined else None
    spans = {name: whole or (int(seen.frame[rows].min()), int(seen.frame[rows].max()))
             for name, rows in groups.items() if rows}
    _check_spans(detections.path, spans, step, len(seen.frame))
    return [_track(name, seen, groups[name], step, *span) for name, span in spans.items()]


def _pictures(detections: Detections, seen: TrackedPerson) -> list[Track]:
    """A track for each person of each picture."""
    tracks = []
    for frame in np.unique(seen.frame).tolist():
        rows = np.flatnonzero(seen.frame == frame)
        label = re.sub(r'[^\w.-]', '_', detections.labels.get(frame, str(frame)))
        for place, row in enumerate(rows.tolist()):
            track = _track(label if len(rows) == 1 else f'{label}-{place}', seen, [row], 1, frame, frame)
            track.size = detections.sizes.get(frame)
            tracks.append(track)
    return tracks


def _check_spans(path: str, spans: dict[str, tuple[int, int]], step: int, detected: int) -> None:
    lengths = {name: (last - first) // step + 1 for name, (first, last) in spans.items()}
    if sum(lengths.values()) > min(MAX_ROWS, FREE_ROWS + ROWS_EACH * detected):
        name = max(lengths, key=lengths.__getitem__)
        raise UserError(f'{path} has {detected:,} detections, but track {name} spans {lengths[name]:,} frames, from '
                        f'{spans[name][0]} to {spans[name][1]}: these are no frames of one video.')


def _gather(detections: Detections, layout: Layout, trained_on: str, min_score: float) -> TrackedPerson:
    everybody = [(frame, who) for frame, people in detections.people.items() for who in people]
    keypoints = np.stack([who.keypoints for _, who in everybody])
    scores = np.stack([who.scores for _, who in everybody])
    low = scores < min_score
    made: np.ndarray = np.where(low[..., None], np.nan, keypoints)
    made, made_scores = (made, scores) if layout.name == OWN else to_h36m(made, scores, layout, trained_on)
    made_scores = np.where(np.isnan(made[..., 0]), 0.0, made_scores)
    there = np.isfinite(made).any((1, 2))
    faces = facing(keypoints, scores, layout)
    if not detections.scored and np.isfinite(keypoints).all():
        faces[:] = 0  # a file without scores and without missing joints shows no faces
    return TrackedPerson(np.array([frame for frame, _ in everybody], np.int64)[there], made[there], made_scores[there],
                 np.array([who.score for _, who in everybody])[there], faces[there],
                 [who.track for (_, who), some in zip(everybody, there) if some])


def _step(frames: Sequence[int]) -> int:
    """Distance between searched frames: 5 for frames 0, 5, 10, 20."""
    return math.gcd(*(after - before for before, after in pairwise(frames))) or 1


def _track(name: str, seen: TrackedPerson, rows: list[int], step: int, first: int, last: int) -> Track:
    rows = sorted(rows, key=lambda row: seen.frame[row])
    length = (last - first) // step + 1
    places = (seen.frame[rows] - first) // step
    joints = seen.scores.shape[1]
    keypoints, scores = np.full((length, joints, 2), np.nan), np.zeros((length, joints))
    keypoints[places], scores[places] = seen.keypoints[rows], seen.scores[rows]
    faces = np.zeros(length)
    faces[places] = seen.facing[rows]
    return Track(name, first + step * np.arange(length, dtype=np.int64), keypoints, scores,
                 np.zeros((length, joints), bool), np.zeros((length, 2), bool), float(seen.score[rows].mean()), faces)


def fill_gaps(track: Track, max_gap: int) -> None:
    """Interpolate missing joints over gaps of at most `max_gap` frames."""
    rows = np.arange(len(track.frames))
    for joint in range(track.scores.shape[1]):
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
    if person == 'all':
        return _without_ghosts(tracks, path)
    chosen = [track for track in tracks if track.name == person]
    if not chosen:
        raise UserError(f'--person {person}: {path} has the people {listing([track.name for track in tracks], 20)}.')
    return chosen


def _without_ghosts(tracks: list[Track], path: str) -> list[Track]:
    """The tracks without very short ones, because detectors briefly find people in chairs and shadows."""
    enough = min(SHORTEST, max(track.seen for track in tracks) / 4)
    chosen = [track for track in tracks if track.seen >= enough]
    ghosts = sum(track.seen for track in tracks) - sum(track.seen for track in chosen)
    if ghosts:
        print(f'{path}: {ghosts} detections of {len(tracks) - len(chosen)} people, each in fewer than {SHORTEST} '
              f'frames, are too short to lift; --person ID lifts one.')
    return chosen
