"""Keypoints of every detector layout, made from the 16 joints and a face."""

from __future__ import annotations

import numpy as np

from common.geometry.body import HEAD, JOINTS, LEFT_SHOULDER, RIGHT_SHOULDER, THORAX
from common.geometry.detector_layouts import LAYOUTS

# Nose, left and right eye, left and right ear: metres forward, left and up from the top of an adult's head.
FACE = np.array([(0.11, 0, -0.15), (0.09, 0.032, -0.11), (0.09, -0.032, -0.11), (0, 0.075, -0.13), (0, -0.075, -0.13)])
NOSE, EYES, EARS = 0, [1, 2], [3, 4]


def with_face(poses: np.ndarray) -> np.ndarray:
    """Append the nose, eyes and ears of an adult to poses: (T, 16, 3) metres to (T, 21, 3).

    The head is above the thorax and faces the same way as the chest.
    """
    up, across = poses[:, HEAD] - poses[:, THORAX], poses[:, LEFT_SHOULDER] - poses[:, RIGHT_SHOULDER]
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    forward = np.cross(across, up)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    axes = np.stack([forward, np.cross(up, forward), up], axis=1)  # forward, left, up
    return np.concatenate([poses, poses[:, HEAD, None] + FACE @ axes], axis=1).astype(poses.dtype)


def spread(poses: np.ndarray, name: str, trained_on: str = 'gt') -> np.ndarray:
    """Keypoints of a layout, (T, J, 2), from the 16 joints: common joints are exact, others are near the middle.

    Where one of the 16 is the mean of two keypoints, these are placed a little to its left and right, unless they are
    joints of the 16 themselves. So the Head is exact too, unless the poses have a face, (T, 21, 2), with eyes and ears.
    """
    layout = LAYOUTS[name]
    sources = layout.sources(trained_on)
    poses, face = poses[:, :JOINTS], poses[:, JOINTS:]
    made = np.repeat(poses.mean(1, keepdims=True), layout.joints, axis=1)
    exact = [joint for joint, parts in enumerate(sources) if len(parts) == 1]
    for joint in exact:
        made[:, sources[joint][0]] = poses[:, joint]
    own = {sources[joint][0] for joint in exact}
    for joint, parts in enumerate(sources):
        if len(parts) == 2 and not set(parts) & own:
            for part, aside in zip(parts, (-7.0, 7.0)):
                made[:, part] = poses[:, joint] + (aside, 0.0)
    if layout.raised_over:  # the Head is raised by the height of the eyes above the nose
        made[:, layout.joint_names.index(layout.raised_over)] = poses[:, HEAD] + (0.0, 30.0)
        made[:, list(sources[HEAD]), 1] = poses[:, HEAD, None, 1] + 15.0
    if face.size and len(sources[HEAD]) == 2:
        made[:, sources[HEAD]] = face[:, EARS if name == 'mediapipe33' else EYES]
        if layout.raised_over:
            made[:, layout.joint_names.index(layout.raised_over)] = face[:, NOSE]
    return made
