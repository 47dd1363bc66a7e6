"""People who are nobody: a second box on one person, and detections in which the detector itself does not believe."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from common.errors import counted
from common.lifting.formats.people import Person

_SAME = 0.07  # mean distance of the joints of two boxes on one person, in the person's size, at most
_NOBODY = 0.1  # score of a person, at least


def suppressed(people: dict[int, list[Person]]) -> tuple[dict[int, list[Person]], list[str]]:
    """The people of each frame without nobodies and doubles, and words about how many were left out.

    Of two on the same joints the more confident one stays. Scores count where some people have higher ones.
    """
    notes = []
    everybody = [who for found in people.values() for who in found]
    low = [who.score < _NOBODY for who in everybody]
    if any(low) and not all(low):
        people = {frame: [who for who in found if who.score >= _NOBODY] for frame, found in people.items()}
        notes.append(f'{counted(sum(low), "detection")} with a score of the person below {_NOBODY:g} left out')
    doubles = 0
    for frame, found in (people := dict(people)).items():
        if len(found) > 1:
            gone: set[int] = set()
            for first, second in combinations(sorted(range(len(found)), key=lambda place: -found[place].score), 2):
                if not {first, second} & gone and _same(found[first], found[second]):
                    gone.add(second)
            people[frame] = [who for place, who in enumerate(found) if place not in gone]
            doubles += len(gone)
    if doubles:
        notes.append(f'{counted(doubles, "second detection")} of the same person left out')
    return people, notes


def _same(first: Person, second: Person) -> bool:
    common = np.isfinite(first.keypoints[:, 0]) & np.isfinite(second.keypoints[:, 0])
    if common.sum() < 5:
        return False
    one, other = first.keypoints[common], second.keypoints[common]
    size = max(np.ptp(one, axis=0).max(), np.ptp(other, axis=0).max())
    return bool(np.linalg.norm(one - other, axis=1).mean() < _SAME * size)
