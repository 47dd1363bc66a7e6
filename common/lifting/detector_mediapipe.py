"""Finds people in video frames with MediaPipe: frames in, people out. Another detector can stand beside it.

A detector is a class with `layout`, `install` and a call from frames to people, registered in `DETECTORS`. MediaPipe's
wheels 0.10.9 to 0.10.21 carry their pose models; newer ones do not. It finds one person, the most prominent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from common.errors import UserError
from common.lifting.formats.people import Detections, Person
from common.rendering.video import VideoFrames

REQUIREMENTS = 'requirements-video.txt'


class Detector(Protocol):
    """What finds people.

    Attributes:
        layout: of `common.lifting.layouts.LAYOUTS`.
    """

    layout: str

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[list[Person]]:
        """(H, W, 3) uint8 RGB frames in order; for each, its people, with `track` where the detector follows them."""


class MediaPipeDetector:
    """MediaPipe Pose (BlazePose), its model of medium size.

    Raises:
        UserError: it is not installed, or is a version without models.
    """

    layout = 'mediapipe33'

    def __init__(self) -> None:
        os.environ.setdefault('GLOG_minloglevel', '2')  # its libraries chat on standard error
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
        bring = 'or bring the file of another detector with --input (docs/predict.md lists them)'
        try:
            import mediapipe
        except ImportError:
            raise UserError(f'finding people in a video needs MediaPipe: pip install -r {REQUIREMENTS} (Python 3.9 to '
                            f'3.12), {bring}.') from None
        solutions: Any = getattr(mediapipe, 'solutions', None)
        if solutions is None:
            version = getattr(mediapipe, '__version__', '')
            raise UserError(f'MediaPipe {version} has no pose model in it: pip install -r {REQUIREMENTS}, {bring}.')
        self._make = lambda: solutions.pose.Pose(model_complexity=1)

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[list[Person]]:
        with self._make() as pose:
            for frame in frames:
                with _quiet():
                    marks = pose.process(frame).pose_landmarks
                yield [] if marks is None else [_person(marks.landmark, frame.shape[1], frame.shape[0])]


def _person(landmarks: Any, width: int, height: int) -> Person:
    found = np.array([(mark.x * width, mark.y * height, mark.visibility) for mark in landmarks])
    return Person(found[:, :2], found[:, 2], float(found[:, 2].mean()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that MediaPipe's protobuf makes of itself at every frame."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


DETECTORS: dict[str, type[Detector]] = {'mediapipe': MediaPipeDetector}


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
