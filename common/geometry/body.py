"""The human body: its 16 joints by name, their limbs and sides, and what is human about lengths, proportions and bends.

    from common.geometry import body
    knees = positions[:, body.KNEES]  # the right and the left one
    ahead = positions[:, body.LEFT_KNEE] - positions[:, body.LEFT_HIP]

No other file writes the number of a joint; a test searches for it. `detector_layouts.py` has the joints of detectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from common.geometry.skeleton import Skeleton

# The joints of the published networks. Feet are ankles.
NAMES = ('Hip', 'RHip', 'RKnee', 'RFoot', 'LHip', 'LKnee', 'LFoot', 'Spine', 'Thorax', 'Head', 'LShoulder', 'LElbow',
         'LWrist', 'RShoulder', 'RElbow', 'RWrist')
JOINTS = len(NAMES)
(HIP, RIGHT_HIP, RIGHT_KNEE, RIGHT_FOOT, LEFT_HIP, LEFT_KNEE, LEFT_FOOT, SPINE, THORAX, HEAD, LEFT_SHOULDER, LEFT_ELBOW,
 LEFT_WRIST, RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST) = range(JOINTS)

HIPS, KNEES, FEET = (RIGHT_HIP, LEFT_HIP), (RIGHT_KNEE, LEFT_KNEE), (RIGHT_FOOT, LEFT_FOOT)  # (right, left) each
SHOULDERS, ELBOWS, WRISTS = (RIGHT_SHOULDER, LEFT_SHOULDER), (RIGHT_ELBOW, LEFT_ELBOW), (RIGHT_WRIST, LEFT_WRIST)
LEGS, ARMS = (HIPS, KNEES, FEET), (SHOULDERS, ELBOWS, WRISTS)

SKELETON = Skeleton(
    names=NAMES,
    parents=(-1, HIP, RIGHT_HIP, RIGHT_KNEE, HIP, LEFT_HIP, LEFT_KNEE, HIP, SPINE, THORAX, THORAX, LEFT_SHOULDER,
             LEFT_ELBOW, THORAX, RIGHT_SHOULDER, RIGHT_ELBOW),
    left=tuple(left for _, left in LEGS + ARMS),
    right=tuple(right for right, _ in LEGS + ARMS),
    groups=((RIGHT_KNEE, RIGHT_FOOT), (LEFT_KNEE, LEFT_FOOT), (RIGHT_HIP, LEFT_HIP), (HIP, SPINE), (THORAX, HEAD),
            (RIGHT_ELBOW, RIGHT_WRIST), (LEFT_ELBOW, LEFT_WRIST), (LEFT_SHOULDER, RIGHT_SHOULDER)))

# Lengths of an adult's bones, metres, by the joint at the far end.
BONE_LENGTHS = {joint: length for joints, length in (
    (HIPS, 0.13), (KNEES, 0.44), (FEET, 0.43), ((SPINE,), 0.24), ((THORAX,), 0.25), ((HEAD,), 0.22), (SHOULDERS, 0.16),
    (ELBOWS, 0.28), (WRISTS, 0.25)) for joint in joints}
TRUNK_LENGTHS, THIGH_LENGTHS = (0.30, 0.75), (0.27, 0.62)  # smallest and largest of a human, metres
# Share of a standing person's height between the ankles and the Head joint of detectors, about the forehead (after
# Drillis and Contini, 1966: the ankle is at 0.039 and the eyes at 0.936 of the height).
HEAD_TO_ANKLE = 0.91

# Points of a head, metres forward, left and up from the middle between its ears at the height of the eyes.
FACE = {'nose': (0.11, 0.0, -0.04), 'left_eye': (0.09, 0.032, 0.0), 'right_eye': (0.09, -0.032, 0.0),
        'left_ear': (0.0, 0.075, -0.01), 'right_ear': (0.0, -0.075, -0.01), 'top': (0.0, 0.0, 0.09)}


def trunk_joints(positions: Any) -> tuple[Any, Any]:
    """Spine and Thorax as 2D detectors find them, (..., C) each.

    The Thorax is the middle of the shoulders, and the Spine is halfway between Hip and Thorax.

    Args:
        positions: (..., 16, C), an array or a tensor.
    """
    thorax = positions[..., SHOULDERS, :].mean(-2)
    return (positions[..., HIP, :] + thorax) / 2, thorax


def bend_signs(positions: np.ndarray) -> tuple[float, float]:
    """How far knees bend forward and elbows backward over a sequence: positive for humans, negative if mirrored.

    Forward is left x up, from the hips for the knees and from the shoulders for the elbows, so that a mirrored body, or
    a body in left-handed axes, or one whose left and right joints are exchanged, bends the other way.

    Args:
        positions: (T, 16, 3) in any unit and any right-handed axes (world coordinates, or x right, y down, z forward).
            Frames in which one of the joints is NaN do not count; Spine and Head are not used and may be NaN.
    Returns:
        for the knees and for the elbows, the median over frames and sides of their distance from the straight line
        through the ends of the limb, relative to the length of the limb; NaN where no frame counts.
        In CMU's motion (28 sequences) the knees have 0.07 to 0.21, and the elbows -0.08 to 0.29: these are below 0 in
        sequences with raised arms, and above it over all motion of each person.
    """
    up = positions[:, THORAX] - positions[:, HIP]
    medians = []
    for ends, middles, tips, sign in ((*LEGS, 1), (*ARMS, -1)):
        right, left = ends
        forward = np.cross(positions[:, left] - positions[:, right], up)
        forward = forward / np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
        start, middle, tip = (positions[:, list(joints)] for joints in (ends, middles, tips))  # (T, 2, 3) each
        line = tip - start
        line = line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-9)
        bend = middle - start - ((middle - start) * line).sum(-1, keepdims=True) * line
        length = np.linalg.norm(middle - start, axis=-1) + np.linalg.norm(tip - middle, axis=-1)
        offset = sign * (bend * forward[:, None]).sum(-1) / np.maximum(length, 1e-9)
        present = np.isfinite(offset)
        medians.append(float(np.median(offset[present])) if present.any() else float('nan'))
    return medians[0], medians[1]
