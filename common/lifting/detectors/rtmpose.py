"""RTMPose through rtmlib and onnxruntime: several people in a frame, 26 joints each.

rtmlib downloads its two models (a detector of people, a pose model) at first use.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator

import numpy as np

from common.errors import UserError
from common.lifting.formats.people import Person


class RTMPoseDetector:
    """YOLOX finds the people, RTMPose their joints.

    Args:
        models: arguments of `rtmlib.BodyWithFeet`, to use other models than its default ones.
    Raises:
        UserError: a package is missing, or the models cannot be downloaded.
    """

    layout = 'halpe26'

    def __init__(self, **models: object) -> None:
        try:
            import onnxruntime
            import rtmlib
        except ImportError as error:
            raise UserError(f'--detector rtmlib cannot be used ({error}): pip install rtmlib onnxruntime, or see '
                            f'requirements-video.txt.') from None
        device = 'cuda' if 'CUDAExecutionProvider' in onnxruntime.get_available_providers() else 'cpu'
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints the files that it loads
                self._body = rtmlib.BodyWithFeet(**{'backend': 'onnxruntime', 'device': device, **models})
        except Exception as error:  # of its downloads, or of onnxruntime
            raise UserError(f'rtmlib cannot load its models, which it downloads at first use: {error}; is the network '
                            f'there?') from error

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[list[Person]]:
        for frame in frames:
            image = np.ascontiguousarray(frame[..., ::-1])  # BGR, as OpenCV reads images
            boxes = self._body.det_model(image)
            if not len(boxes):  # without boxes the pose model would treat the whole image as a person
                yield []
                continue
            keypoints, scores = self._body.pose_model(image, bboxes=boxes)
            yield [Person(points, np.clip(each, 0, 1), float(np.clip(each, 0, 1).mean()))
                   for points, each in zip(np.asarray(keypoints, float), np.asarray(scores, float))]
