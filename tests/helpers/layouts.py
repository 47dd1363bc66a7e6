"""Keypoints of every detector layout, made from the 16 joints and a face."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS

NAMES = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')
# Metres forward, left and up from the top of the head.
FACE = np.array([body.FACE[name] for name in NAMES]) - np.array(body.FACE['top'])


def with_face(poses: np.ndarray) -> np.ndarray:
    """Append the nose, eyes and ears of an adult to poses: (T, 16, 3) metres to (T, 21, 3).

    The Head joint is the top of the head, which is above the thorax and faces the same way as the chest.
    """
    up = poses[:, body.HEAD] - poses[:, body.THORAX]
    across = poses[:, body.LEFT_SHOULDER] - poses[:, body.RIGHT_SHOULDER]
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    forward = np.cross(across, up)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    axes = np.stack([forward, np.cross(up, forward), up], axis=1)  # forward, left, up
    return np.concatenate([poses, poses[:, body.HEAD, None] + FACE @ axes], axis=1).astype(poses.dtype)


def spread(poses: np.ndarray, name: str, trained_on: str = 'gt') -> np.ndarray:
    """Keypoints of a layout, (T, J, 2), from the 16 joints: common joints are exact, others are near the middle.

    Where one of the 16 is the mean of two keypoints, these are placed a little to its left and right, unless they are
    joints of the 16 themselves. So the Head is exact too, unless the poses have a face, (T, 21, 2), with eyes and ears.
    """
    layout = LAYOUTS[name]
    sources = layout.sources(trained_on)
    poses, face = poses[:, :body.JOINTS], poses[:, body.JOINTS:]
    keypoints = np.repeat(poses.mean(1, keepdims=True), layout.joints, axis=1)
    exact = [joint for joint, parts in enumerate(sources) if len(parts) == 1]
    for joint in exact:
        keypoints[:, sources[joint][0]] = poses[:, joint]
    own = {sources[joint][0] for joint in exact}
    for joint, parts in enumerate(sources):
        if len(parts) == 2 and not set(parts) & own:
            for part, aside in zip(parts, (-7.0, 7.0)):
                keypoints[:, part] = poses[:, joint] + (aside, 0.0)
    head = sources[body.HEAD]
    nose = layout.joint_names.index(layout.raised_over) if layout.raised_over else None
    if nose is not None:  # the Head is raised by the height of the eyes above the nose
        keypoints[:, nose] = poses[:, body.HEAD] + (0.0, 30.0)
        keypoints[:, list(head), 1] = poses[:, body.HEAD, None, 1] + 15.0
    if face.size and len(head) == 2:
        keypoints[:, head] = face[:, [NAMES.index(part) for part in layout.head]]
        if nose is not None:
            keypoints[:, nose] = face[:, NAMES.index('nose')]
    return keypoints
