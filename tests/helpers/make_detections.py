"""People for tests of detector files, the demo's in a camera; `detector_files` writes the files."""

from functools import cache

import numpy as np

from common.datasets import h36m
from common.geometry.camera import image_coordinates, project, world_to_camera
from tests.helpers.detector_files import COCO_LIKE, FORMATS, MORE, write

__all__ = ['COCO_LIKE', 'FORMATS', 'MORE', 'as_persons', 'demo_person', 'demo_walking', 'write']


@cache
def demo_person():
    """{action: (T, 16, 3)} of the demo's S9, world coordinates; made once for all tests."""
    from data.prepare_data_demo import make_demo
    return {action: take[:, h36m.KEPT_JOINTS] for action, take in make_demo()['S9'].items()}


def demo_walking(camera=0):
    """(T, 16, 2) pixels of the demo's S9 walking, as a camera of 1000x1000 sees it."""
    seen_by = h36m.cameras()['S9'][camera]
    seen = project(world_to_camera(demo_person()['Walking'], seen_by), seen_by)
    return image_coordinates(seen.astype(float), 1000, 1000)


def as_persons(joints, scores):
    """(T, J, 2) and (T, J) to the flat lists x, y, s of each frame."""
    return np.concatenate([joints, scores[..., None]], axis=-1).reshape(len(joints), -1).tolist()
