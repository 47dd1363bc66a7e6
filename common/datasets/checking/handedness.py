"""Mirrored bodies: with left-handed axes or exchanged sides, knees bend backwards. `body.bend_signs` shows it."""

from __future__ import annotations

import numpy as np

from common.datasets.mocap import MocapDataset
from common.errors import UserError, listing
from common.geometry import body
from common.geometry.detector_layouts import SIXTEEN, canonical_name
from common.geometry.skeleton import Skeleton

# Medians of `bend_signs`: the knees have 0.07 to 0.21 in CMU's sequences, and the elbows more than 0 over all motion of
# a person. Straight legs have none, so a sign counts from here on: of all motion of a person, and of a sequence (one of
# 522 sequences of CMU and ACCAD, acrobatics, has -0.012; people who stand still with their knees back have -0.04).
KNEES, ELBOWS, KNEES_OF_SEQUENCE = -0.02, -0.04, -0.045
FORWARD = 0.03  # the bend of a sequence that is right
FEWEST, FRAMES = 5, 200  # frames of a sequence that are judged
BENT_OVER = -0.6  # cosine between the trunk and the legs
# What rigs call the joints of a limb, by Human3.6M's words.
_LIMBS = {'hip': ('hip', 'upleg', 'upperleg', 'thigh'), 'knee': ('knee', 'leg', 'lowerleg', 'calf', 'shin'),
          'ankle': ('ankle', 'foot'), 'shoulder': ('shoulder', 'arm', 'upperarm'),
          'elbow': ('elbow', 'forearm', 'lowerarm'), 'wrist': ('wrist', 'hand')}
_MIDDLE = {'hip': ('hip', 'hips', 'pelvis', 'root'), 'thorax': ('thorax', 'neck', 'upperneck', 'chest', 'upperchest')}


def mirrored_sequences(dataset: MocapDataset) -> tuple[list[str], int]:
    """Subjects, and single sequences of other subjects, whose knees bend the wrong way; and the number of sequences.

    Where the knees are straight, the elbows of a subject count.
    """
    places = places_of_body(dataset.skeleton)
    if places is None:
        return [], 0
    found: list[str] = []
    count = 0
    for subject, takes in dataset.positions.items():
        poses = {action: as_body(take, places) for action, take in takes.items()}
        knees = {action: body.bend_signs(take)[0] for action, take in poses.items() if len(take) >= FEWEST}
        if not any(bend > FORWARD for bend in knees.values()):
            if _is_mirrored(np.concatenate(list(poses.values()))):
                found.append(subject)
                count += len(poses)
            continue
        single = [f'{subject} {action}' for action, bend in knees.items() if bend < KNEES_OF_SEQUENCE]
        found += single
        count += len(single)
    return found, count


def check_handedness(path: str, dataset: MocapDataset) -> None:
    """Refuse mirrored bodies.

    Raises:
        UserError: the sentence names the subjects or sequences, and how to write the file.
    """
    found, count = mirrored_sequences(dataset)
    if not count:
        return
    total = sum(map(len, dataset.positions.values()))
    local = set(dataset.positions) <= set(dataset.camera_coordinates)
    axes = '(-x, y, z)' if local else '(x, -y, z), in the cameras, too'
    raise UserError(f'{path}: knees bend backwards in {count} of {total} sequences ({listing(found, 5)}), so these '
                    f'bodies are mirrored: if the axes are left-handed, write (x, y, z) as {axes}; otherwise left and '
                    f'right joints are exchanged.')


def places_of_body(skeleton: Skeleton) -> list[list[int]] | None:
    """For each of the 16 joints, the joints whose mean it is, by their names; None if legs and arms are missing."""
    words = [canonical_name(name.split(':')[-1]).replace('_', '') for name in skeleton.names]
    places: list[list[int]] = []
    for name in SIXTEEN:
        side, _, part = name.rpartition('_')
        known = [side + word for word in (_LIMBS.get(part, (part,)) if side else _MIDDLE.get(part, (part,)))]
        if side and part == 'shoulder' and f'{side}arm' in words:
            known = [f'{side}arm']  # of a rig, whose shoulder is the collar bone
        places.append([words.index(word) for word in known if word in words][:1])
    for middle, sides in ((body.HIP, body.HIPS), (body.THORAX, body.SHOULDERS)):
        places[middle] = places[middle] or [joint for side in sides for joint in places[side]]
    needed = [all(places[joint] for pair in limbs for joint in pair) for limbs in (body.LEGS, body.ARMS)]
    return places if any(needed) and places[body.HIP] and places[body.THORAX] else None


def as_body(take: np.ndarray, places: list[list[int]]) -> np.ndarray:
    """(T, 16, 3) a sample of a sequence (T, J, 3) in the order of `body.NAMES`; NaN for joints that it lacks.

    Frames in which the trunk is bent over the legs are left out, because its direction is then not up.
    """
    take = take[::-(-len(take) // FRAMES)]
    missing = np.full((len(take), 3), np.nan, take.dtype)
    poses = np.stack([take[:, joints].mean(1) if joints else missing for joints in places], 1)
    trunk, legs = poses[:, body.THORAX] - poses[:, body.HIP], poses[:, body.FEET].mean(1) - poses[:, body.HIP]
    lengths = np.linalg.norm(trunk, axis=1) * np.linalg.norm(legs, axis=1)
    return poses[~((trunk * legs).sum(1) > BENT_OVER * lengths)]


def _is_mirrored(poses: np.ndarray) -> bool:
    if len(poses) < FEWEST:
        return False
    knees, elbows = body.bend_signs(poses)
    return knees < KNEES or (elbows < ELBOWS and not abs(knees) > -KNEES)
