"""Bones of constant length: a person has the same body in the whole clip."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.geometry.skeleton import Skeleton


def bone_lengths(positions: np.ndarray, skeleton: Skeleton, guessed: np.ndarray | None = None) -> np.ndarray:
    """Length of each joint's bone to its parent: the median over the frames, mean of left and right.

    Args:
        positions: (T, J, 3) metres; frames without a pose are NaN.
        guessed: (T, J); bones that end in a guessed joint count only where the clip has no others.
    Returns:
        (J,) metres, 0 for the root.
    """
    parents = np.array(skeleton.parents)
    lengths = np.linalg.norm(positions - positions[:, parents], axis=-1)
    lengths[:, skeleton.root] = 0
    lengths = lengths[np.isfinite(lengths).all(1)]
    if guessed is not None:
        detected = np.where((guessed | guessed[:, parents])[np.isfinite(positions).all((1, 2))], np.nan, lengths)
        lengths = np.where(np.isnan(detected).all(0), lengths, detected)
    medians = np.nanmedian(lengths, axis=0)
    left, right = list(skeleton.left), list(skeleton.right)
    medians[left] = medians[right] = (medians[left] + medians[right]) / 2
    return medians


def with_lengths(positions: np.ndarray, skeleton: Skeleton, lengths: np.ndarray) -> np.ndarray:
    """The poses (T, J, 3) with the same directions of the bones and these lengths, the root at the origin."""
    result = np.zeros(positions.shape)
    for parent, joint in sorted(skeleton.bones, key=lambda bone: len(skeleton.ancestors(bone[1]))):
        bone = positions[:, joint] - positions[:, parent]
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        result[:, joint] = result[:, parent] + bone / np.maximum(length, 1e-9) * lengths[joint]
    return result


def body_height(lengths: np.ndarray) -> float:
    """Height of a standing person with bones of these lengths (16,), metres; one leg is the mean of both."""
    trunk = lengths[body.HEAD] + lengths[body.THORAX] + lengths[body.SPINE]
    return float(sum((lengths[joint] / 2 for joint in body.KNEES + body.FEET), trunk) / body.HEAD_TO_ANKLE)
