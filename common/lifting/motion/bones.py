"""Bones of constant length: a person has the same body in the whole clip."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.geometry.skeleton import Skeleton

MIRRORED = np.array([-1, 1, 1])  # in axes left, up, forward


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


def pelvis(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3, 3) axes of the pelvis as columns, and (3,) the left hip's usual place in them, metres from the Hip joint.

    The axes are left along the hips, up as far as the spine allows, and forward. The right hip is the mirror image.

    Args:
        positions: (T, 16, 3); NaN where there is no pose.
    """
    right, left = body.HIPS
    across = positions[:, left] - positions[:, right]
    forward = np.cross(across, positions[:, body.SPINE] - positions[:, body.HIP])
    across, forward = (axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
                       for axis in (across, forward))
    axes = np.stack([across, np.cross(forward, across), forward], axis=-1)
    places = np.nanmedian((positions[:, body.HIPS] - positions[:, [body.HIP]]) @ axes, axis=0)
    return axes, (places[1] + places[0] * MIRRORED) / 2


def with_rigid_hips(positions: np.ndarray) -> np.ndarray:
    """The poses (T, 16, 3) with one pelvis: the hips keep their places in it, and the legs move with them."""
    axes, hip = pelvis(positions)
    result = positions.copy()
    for place, leg in zip((hip * MIRRORED, hip), zip(*body.LEGS, strict=True), strict=True):
        result[:, leg] += (positions[:, body.HIP] + axes @ place - positions[:, leg[0]])[:, None]
    return result


def body_height(lengths: np.ndarray) -> float:
    """Height of a standing person with bones of these lengths (16,), metres; one leg is the mean of both."""
    trunk = lengths[body.HEAD] + lengths[body.THORAX] + lengths[body.SPINE]
    return float(sum((lengths[joint] / 2 for joint in body.KNEES + body.FEET), trunk) / body.HEAD_TO_ANKLE)
