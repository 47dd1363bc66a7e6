"""From the people of each frame to the track of each person: identity and gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from common.errors import UserError, counted, listing
from common.geometry.detector_layouts import OWN, Layout, facing, to_h36m
from common.lifting.formats.people import Detections
from common.lifting.tracks.matching import DetectedPeople, group_by_name, group_by_place, names_are_usable

MAX_FRAMES = 2_000_000  # of all tracks together; a frame takes 400 bytes and more
# Frame numbers can be wrong, so the frames of tracks are limited: for any file, and further ones for each detection.
FREE_FRAMES, FRAMES_EACH = 10_000, 100
AT_A_TIME = 4096  # people whose joints are converted at a time, so that little memory is needed besides the result
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
        facing: (T,) 1 if the person faces the camera, -1 if they turn their back, 0 if it is not clear.
        hidden: (T, 16) joints whose place the detector only guessed.
        size: of the picture, where pictures differ.
        whole: (T, J, 3) x, y and score of all joints of whole bodies, as the detector found them; NaN where nobody is.
        whole_names: of these joints.
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
    whole: np.ndarray | None = None
    whole_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.facing) != len(self.frames):
            self.facing = np.zeros(len(self.frames))
        if len(self.hidden) != len(self.frames):
            self.hidden = np.zeros(self.scores.shape, bool)

    @property
    def detected(self) -> int:
        """The number of frames in which the detector found any joint of the person."""
        return int((self.scores > 0).any(1).sum())

    @property
    def step(self) -> int:
        """The number of video frames from one frame of the track to the next."""
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
        max_lost: a person who is away for more frames than this gets a new track.
    Raises:
        UserError: a track spans far more frames than it has detections.
    """
    people = _gather(detections, layout, trained_on, min_score)
    frames = list(detections.people)
    step = _step(frames)
    if detections.photos:
        return _pictures(detections, people)
    if detections.joined:
        groups = {'0': list(range(len(people.frame)))}
    elif names_are_usable(detections.path, people):
        groups = group_by_name(detections.path, people)
    else:
        groups = group_by_place(people, max_lost * step)
    whole = (frames[0], frames[-1]) if detections.joined else None
    spans = {name: whole or (int(people.frame[indices].min()), int(people.frame[indices].max()))
             for name, indices in groups.items() if indices}
    _check_spans(detections.path, spans, step, len(people.frame))
    return [_track(name, people, groups[name], step, *span) for name, span in spans.items()]


def _pictures(detections: Detections, people: DetectedPeople) -> list[Track]:
    """A track for each person of each picture."""
    tracks = []
    for frame in np.unique(people.frame).tolist():
        indices = np.flatnonzero(people.frame == frame)
        label = re.sub(r'[^\w.-]', '_', detections.labels.get(frame, str(frame)))
        for place, index in enumerate(indices.tolist()):
            track = _track(label if len(indices) == 1 else f'{label}-{place}', people, [index], 1, frame, frame)
            track.size = detections.sizes.get(frame)
            tracks.append(track)
    return tracks


def _check_spans(path: str, spans: dict[str, tuple[int, int]], step: int, detected: int) -> None:
    lengths = {name: (last - first) // step + 1 for name, (first, last) in spans.items()}
    if sum(lengths.values()) > min(MAX_FRAMES, FREE_FRAMES + FRAMES_EACH * detected):
        name = max(lengths, key=lengths.__getitem__)
        raise UserError(f'{path} has {detected:,} detections, but track {name} spans {lengths[name]:,} frames, from '
                        f'{spans[name][0]} to {spans[name][1]}: these are not frames of one video.')


def _gather(detections: Detections, layout: Layout, trained_on: str, min_score: float) -> DetectedPeople:
    """All people with at least one joint of this score, in the joints of the tracks."""
    people = [(frame, person) for frame, persons in detections.people.items() for person in persons]
    made, whole, complete = [], [], True
    # Hands, feet and whole faces have no place among the 16 joints.
    names = () if layout.name == OWN else layout.joint_names + layout.more
    is_whole_body = any(re.search('toe|heel|foot_index|thumb|face', name) for name in names)
    for start in range(0, len(people), AT_A_TIME):
        part = people[start:start + AT_A_TIME]
        keypoints = np.stack([person.keypoints for _, person in part])
        scores = np.stack([person.scores for _, person in part])
        if is_whole_body:
            whole.append(np.concatenate([keypoints, scores[..., None]], axis=-1).astype(np.float32))
        complete = complete and bool(np.isfinite(keypoints).all())
        faces = facing(keypoints, scores, layout)
        joints: np.ndarray = np.where((scores < min_score)[..., None], np.nan, keypoints)
        if layout.name != OWN:
            joints, scores = to_h36m(joints, scores, layout, trained_on)
        made.append((joints, np.where(np.isnan(joints[..., 0]), 0.0, scores), faces))
    joints, scores, faces = (np.concatenate(parts) for parts in zip(*made))
    if complete and not detections.scored:
        faces[:] = 0  # a file without scores and without missing joints shows no faces
    kept = np.flatnonzero(np.isfinite(joints).any((1, 2)))
    everything = np.concatenate(whole) if whole else None
    if len(kept) < len(people):
        joints, scores, faces, people = joints[kept], scores[kept], faces[kept], [people[index] for index in kept]
        everything = None if everything is None else everything[kept]
    return DetectedPeople(np.array([frame for frame, _ in people], np.int64), joints, scores,
                          np.array([person.score for _, person in people]), faces,
                          [person.track for _, person in people], everything, names)


def _step(frames: Sequence[int]) -> int:
    """Distance between searched frames: 5 for frames 0, 5, 10, 20."""
    return math.gcd(*(after - before for before, after in pairwise(frames))) or 1


def _track(name: str, people: DetectedPeople, indices: list[int], step: int, first: int, last: int) -> Track:
    indices = sorted(indices, key=lambda index: people.frame[index])
    length = (last - first) // step + 1
    places = (people.frame[indices] - first) // step
    joints = people.scores.shape[1]
    keypoints, scores = np.full((length, joints, 2), np.nan), np.zeros((length, joints))
    keypoints[places], scores[places] = people.keypoints[indices], people.scores[indices]
    faces = np.zeros(length)
    faces[places] = people.facing[indices]
    track = Track(name, first + step * np.arange(length, dtype=np.int64), keypoints, scores,
                  np.zeros((length, joints), bool), np.zeros((length, 2), bool), float(people.score[indices].mean()),
                  faces)
    if people.whole is not None:
        track.whole_names = people.whole_names
        track.whole = np.full((length, *people.whole.shape[1:]), np.nan, np.float32)
        track.whole[places] = people.whole[indices]
    return track


def fill_gaps(track: Track, max_gap: int) -> None:
    """Interpolate missing joints over gaps of at most `max_gap` frames."""
    frames = np.arange(len(track.frames))
    for joint in range(track.scores.shape[1]):
        present = np.isfinite(track.keypoints[:, joint]).all(-1)
        if present.all() or not present.any():
            continue
        known = np.flatnonzero(present)
        after = np.searchsorted(known, frames)
        inside = ~present & (after > 0) & (after < len(known))
        gap = known[np.minimum(after, len(known) - 1)] - known[np.maximum(after - 1, 0)] - 1
        filled = inside & (gap <= max_gap)
        for axis in range(2):
            track.keypoints[filled, joint, axis] = np.interp(frames[filled], known,
                                                             track.keypoints[known, joint, axis])
        track.interpolated[filled, joint] = True


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
    enough = min(SHORTEST, max(track.detected for track in tracks) / 4)
    chosen = [track for track in tracks if track.detected >= enough]
    ghosts = sum(track.detected for track in tracks) - sum(track.detected for track in chosen)
    if ghosts:
        people = 'one person' if len(tracks) - len(chosen) == 1 else f'{len(tracks) - len(chosen)} people'
        print(f'{path}: {counted(ghosts, "detection")} of {people}, each in fewer than {SHORTEST} frames, too short to '
              f'lift; --person ID lifts one.')
    return chosen
