"""MediaPipe Pose (BlazePose) with its model of medium size: finds the most prominent person.

Its wheels 0.10.9 to 0.10.21 contain the pose models; newer wheels do not.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from common.errors import UserError
from common.lifting.formats.people import Person


class MediaPipeDetector:
    """Finds one person with MediaPipe.

    Raises:
        UserError: MediaPipe is not installed, or is a version without models.
    """

    layout = 'mediapipe33'

    def __init__(self) -> None:
        os.environ.setdefault('GLOG_minloglevel', '2')  # its libraries print on standard error
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
        advice = ("pip install 'mediapipe>=0.10.9,<=0.10.21' 'numpy<2' (Python 3.9 to 3.12), or give the file of "
                  "another detector with --input (docs/predict.md lists them)")
        try:
            with _quiet():
                import mediapipe
        except ImportError:
            raise UserError(f'--detector mediapipe needs MediaPipe: {advice}.') from None
        solutions: Any = getattr(mediapipe, 'solutions', None)
        if solutions is None:
            version = getattr(mediapipe, '__version__', '')
            raise UserError(f'MediaPipe {version} contains no pose model: {advice}.')
        self._make = lambda: solutions.pose.Pose(model_complexity=1)

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[list[Person]]:
        with _quiet(), self._make() as pose:
            for frame in frames:
                marks = pose.process(frame).pose_landmarks
                yield [] if marks is None else [_person(marks.landmark, frame.shape[1], frame.shape[0])]


def _person(landmarks: Any, width: int, height: int) -> Person:
    found = np.array([(mark.x * width, mark.y * height, mark.visibility) for mark in landmarks])
    return Person(found[:, :2], found[:, 2], float(found[:, 2].mean()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of MediaPipe's protobuf and the log lines of its C++ code."""
    with warnings.catch_warnings(), open(os.devnull, 'wb') as nothing:
        warnings.simplefilter('ignore')
        stderr = os.dup(2)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
