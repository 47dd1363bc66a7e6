"""Finds the people in the frames of a video.

A detector is a class with `layout` and a call from frames to people. A new one is an entry of `DETECTORS`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from common.errors import UserError
from common.lifting.formats.people import Detections, Person
from common.rendering.video import VideoFrames


class Detector(Protocol):
    """Finds people.

    Attributes:
        layout: name of the joints, of `common.geometry.detector_layouts.LAYOUTS`.
    """

    layout: str

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[list[Person]]:
        """Yield the people of each frame, (H, W, 3) uint8 RGB, with `track` if the detector tracks people."""


def _mediapipe() -> Detector:
    from common.lifting.detectors.mediapipe_pose import MediaPipeDetector
    return MediaPipeDetector()


def _rtmlib() -> Detector:
    from common.lifting.detectors.rtmpose import RTMPoseDetector
    return RTMPoseDetector()


DETECTORS: dict[str, Callable[[], Detector]] = {'rtmlib': _rtmlib, 'mediapipe': _mediapipe}  # the default first


def installed() -> list[str]:
    """Names of the installed detectors."""
    return [name for name in DETECTORS if importlib.util.find_spec(name)]


def make_detector(name: str | None) -> Detector:
    """The detector of that name, or the first of `DETECTORS` that is installed.

    Raises:
        UserError: the detector is not installed, or none is.
    """
    if name is None and not installed():
        raise UserError('finding people in a video needs a detector: pip install rtmlib onnxruntime, or see '
                        'requirements-video.txt; or give the file of another detector with --input (docs/predict.md '
                        'lists them).')
    return DETECTORS[name or installed()[0]]()


def detect(path: str, detector: Detector, video: VideoFrames) -> Detections:
    """Find the people of every frame of a video.

    Args:
        path: of the video, for messages.
        video: its frames, one pose each.
    """
    from tqdm import tqdm
    frames = tqdm(video.frames(*video.size, video.covered), total=video.covered, desc='finding people', unit='frame',
                  leave=False, disable=None)
    people = dict(enumerate(detector(frames)))
    if not any(people.values()):
        raise UserError(f'{path}: nobody is found in its {len(people)} frames.')
    return Detections(path, 'video', people, detector.layout, video.size)
