"""Identity of people from frame to frame.

People without identifiers are matched greedily, the best pair first, by the overlap of their boxes and the distance of
their joints. (The optimal assignment differs only where people cover each other, and there the costs are unreliable.)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from common.errors import warn
from common.progress import with_progress

LONGEST_ABSENCE = 90  # frames; after a longer absence a person who returns gets a new track
SAME_SIZE, NEAR = 1.25, 0.5  # ratio of the heights, and distance in heights, at most, of a person who returns
SIZED, SURE = 10, 5  # frames from which the height is measured; least frames of a track that can be continued
MAX_COST = 1.2  # of a match: 1 - overlap + distance of the joints in sizes of the person; different people cost more


@dataclass(frozen=True)
class DetectedPeople:
    """The N people of all frames, one after another.

    Attributes:
        frame: number of each person's frame, ascending.
        keypoints, scores, score, facing: as in `Track`.
        names: the file's identifiers.
        whole, whole_names: (N, J, 3) x, y and score of all joints of whole bodies, and their names.
    """

    frame: np.ndarray  # (N,)
    keypoints: np.ndarray  # (N, 16, 2)
    scores: np.ndarray  # (N, 16)
    score: np.ndarray  # (N,)
    facing: np.ndarray  # (N,)
    names: list[str | None]
    whole: np.ndarray | None = None
    whole_names: tuple[str, ...] = ()


def names_are_usable(path: str, people: DetectedPeople) -> bool:
    """Whether identifiers distinguish people: some files give all people of a frame the same identifier."""
    if all(name is None for name in people.names):
        return False
    counts, repeated = Counter(people.frame.tolist()), set()
    for (frame, name), count in Counter(zip(people.frame.tolist(), people.names)).items():
        if name is not None and count > 1:
            repeated.add(frame)
    several = sum(count > 1 for count in counts.values())
    if 2 * len(repeated) <= several or not repeated:
        return True
    warn(f'{path}: people of the same frame share an identifier in {len(repeated)} of {several} frames: identifiers '
         f'are ignored, and people matched by their place.')
    return False


def group_by_name(path: str, people: DetectedPeople) -> dict[str, list[int]]:
    """{identifier: indices of its detections}; of two in the same frame only the more confident one."""
    groups: dict[str, list[int]] = {}
    nameless = doubles = 0
    for index, name in enumerate(people.names):
        if name is None:
            nameless += 1
            continue
        indices = groups.setdefault(name, [])
        if indices and people.frame[indices[-1]] == people.frame[index]:
            doubles += 1
            if people.score[indices[-1]] >= people.score[index]:
                continue
            indices.pop()
        indices.append(index)
    if nameless:
        warn(f'{path}: {nameless} of {len(people.names)} detections have no identifier, while others have, and are '
             f'left out.')
    if doubles:
        warn(f'{path}: {doubles} times an identifier stands twice in a frame; the more confident detection is taken.')
    return groups


def group_by_place(people: DetectedPeople, max_lost: int) -> dict[str, list[int]]:
    """{number of a person: indices of its detections}, matched from frame to frame."""
    tracks: list[list[int]] = []
    boxes = np.concatenate([np.nanmin(people.keypoints, 1), np.nanmax(people.keypoints, 1)], axis=1)
    numbers, starts = np.unique(people.frame, return_index=True)
    active: list[int] = []
    in_turn = _cost(people.keypoints[:-1], boxes[:-1], people.keypoints[1:], boxes[1:])  # of each to the next
    frames = list(zip(numbers.tolist(), starts.tolist(), [*starts[1:].tolist(), len(people.frame)]))
    for number, start, end in with_progress('following', frames):
        active = [track for track in active if number - people.frame[tracks[track][-1]] <= max_lost]
        last = [tracks[track][-1] for track in active]
        free, taken = set(range(start, end)), set()
        if last == [start - 1] and end == start + 1:  # one person, as in most clips
            cost = in_turn[[start - 1], None]
        else:
            cost = _cost(people.keypoints[last][:, None], boxes[last][:, None], people.keypoints[start:end],
                         boxes[start:end])
        for flat in np.argsort(cost, axis=None, kind='stable'):
            old, new = divmod(int(flat), int(end - start))
            if not cost[old, new] <= MAX_COST:
                break
            if old not in taken and start + new in free:
                tracks[active[old]].append(start + new)
                taken.add(old)
                free.remove(start + new)
        for index in sorted(free):
            active.append(len(tracks))
            tracks.append([index])
    step = int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1
    return {str(number): indices for number, indices in enumerate(_rejoined(tracks, people.frame // step, boxes))}


def _rejoined(parts: list[list[int]], frame: np.ndarray, boxes: np.ndarray) -> list[list[int]]:
    """The tracks, after joining the parts of people who were hidden or away.

    A track continues an ended one if at most `LONGEST_ABSENCE` frames lie between them, and the place and the size of
    the person fit. The longer the absence, the farther the person may have moved.
    """
    whole: list[list[int]] = []
    for indices in sorted(parts, key=lambda indices: frame[indices[0]]):
        fitting = []
        for old in whole:
            absence = int(frame[indices[0]] - frame[old[-1]])
            if not 0 < absence <= LONGEST_ABSENCE or min(len(old), len(indices)) < SURE:
                continue
            before, after = boxes[old[-SIZED:]], boxes[indices[:SIZED]]
            sizes = [float(np.median(box[:, 3] - box[:, 1])) for box in (before, after)]
            middles = [(box[:2] + box[2:]) / 2 for box in (before[-1], after[0])]
            away = float(np.linalg.norm(middles[1] - middles[0])) / max(min(sizes), 1.0)
            if max(sizes) < SAME_SIZE * min(sizes) and away < NEAR * (1 + absence / LONGEST_ABSENCE):
                fitting.append((away, absence, old))
        if fitting:
            min(fitting, key=lambda candidate: candidate[:2])[2].extend(indices)
        else:
            whole.append(list(indices))
    return whole


def _cost(old: np.ndarray, old_boxes: np.ndarray, new: np.ndarray, new_boxes: np.ndarray) -> np.ndarray:
    """Costs (...) of matching people (..., 16, 2): 1 - intersection over union + mean distance of joints in sizes."""
    a, b = old_boxes, new_boxes
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    area_a, area_b = (np.clip(box[..., 2:] - box[..., :2], 1, None).prod(-1) for box in (a, b))
    union = area_a + area_b - overlap
    distance = np.linalg.norm(old - new, axis=-1)  # (..., 16)
    common = np.isfinite(distance)
    mean = np.where(common, distance, 0).sum(-1) / np.maximum(common.sum(-1), 1)
    between = np.linalg.norm((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2, axis=-1)
    mean = np.where(common.any(-1), mean, between)
    return 1 - overlap / union + mean / np.sqrt(np.maximum(area_a, area_b))
