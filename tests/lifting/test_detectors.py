"""Detectors of people in video frames: which one is used, and the people that each adapter returns."""

import sys
import types

import numpy as np
import pytest

from common.errors import UserError
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.detectors import detector
from common.lifting.detectors.rtmpose import RTMPoseDetector

BOXES = np.array([[10, 20, 110, 220], [200, 40, 300, 240]], np.float32)  # x, y, x, y in a frame of 400x300


def write_models(folder):
    """ONNX models with the inputs and outputs of YOLOX (with its suppression of doubles) and RTMPose for 26 joints.

    The first finds two boxes in bright frames and none in dark ones; the second has joint n at column 7 n, row 9 n.
    """
    from onnx import TensorProto, helper, numpy_helper, save
    scaled = np.concatenate([BOXES * (640 / 400), np.full((2, 1), 0.6)], axis=1)[None].astype(np.float32)
    factor = np.array([[[0, 0, 0, 0, 1 / 255]]], np.float32)

    def save_model(name, size, nodes, constants, outputs):
        graph = helper.make_graph(
            nodes, name, [helper.make_tensor_value_info('input', TensorProto.FLOAT, [1, 3, *size])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs],
            [numpy_helper.from_array(value, constant) for constant, value in constants.items()])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), folder / name)
        return str(folder / name)

    find = save_model('find.onnx', (640, 640), [
        helper.make_node('ReduceMax', ['input'], ['most'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Mul', ['most', 'factor'], ['bright']), helper.make_node('Add', ['bright', 'rest'], ['scale']),
        helper.make_node('Mul', ['boxes', 'scale'], ['dets'])],
        {'boxes': scaled, 'factor': factor, 'rest': np.array([[[1, 1, 1, 1, 0]]], np.float32)}, [('dets', [1, 2, 5])])
    x, y = np.zeros((1, 26, 384), np.float32), np.zeros((1, 26, 512), np.float32)
    x[0, range(26), 2 * 7 * np.arange(26)], y[0, range(26), 2 * 9 * np.arange(26)] = 0.8, 0.8
    pose = save_model('pose.onnx', (256, 192), [
        helper.make_node('ReduceSum', ['input'], ['sum'], keepdims=0),
        helper.make_node('Mul', ['sum', 'zero'], ['nothing']),
        helper.make_node('Add', ['x', 'nothing'], ['simcc_x']), helper.make_node('Add', ['y', 'nothing'], ['simcc_y'])],
        {'x': x, 'y': y, 'zero': np.array(0, np.float32)}, [('simcc_x', [1, 26, 384]), ('simcc_y', [1, 26, 512])])
    return find, pose


def check(found):
    """Two people in the bright frame, in the boxes' places; nobody in the dark one."""
    bright, dark = found
    assert dark == [] and len(bright) == 2
    for person, (left, top, right, bottom) in zip(bright, BOXES):
        assert person.keypoints.shape == (LAYOUTS[RTMPoseDetector.layout].joints, 2)
        height = 1.25 * (bottom - top)  # RTMPose sees the box with a margin, 3 wide and 4 high
        width = height * 192 / 256
        first = np.array([(left + right - width) / 2, (top + bottom - height) / 2])
        expected = first + np.arange(26)[:, None] * np.array([7 * width / 192, 9 * height / 256])
        np.testing.assert_allclose(person.keypoints, expected, atol=1)
        assert person.scores == pytest.approx(0.8) and person.score == pytest.approx(0.8)


@pytest.fixture
def frames():
    yellow = np.zeros((300, 400, 3), np.uint8)
    yellow[..., :2] = 255
    return [yellow, np.zeros_like(yellow)]


def test_rtmlib_with_models_of_its_kind(tmp_path, frames):
    pytest.importorskip('rtmlib', reason='rtmlib is not installed; make test-video installs it for this test')
    pytest.importorskip('onnx')
    find, pose = write_models(tmp_path)
    check(list(RTMPoseDetector(det=find, pose=pose)(frames)))


@pytest.fixture
def stand_in(monkeypatch):
    """A module in the place of rtmlib."""
    class BodyWithFeet:
        def __init__(self, backend, device, **models):
            assert (backend, device) == ('onnxruntime', 'cpu')
            if models:
                raise OSError('no network')

        def det_model(self, image):
            blue = image[0, 0, 0]  # OpenCV's order: what is yellow has none
            return BOXES if image.any() and not blue else np.empty((0, 4))

        def pose_model(self, image, bboxes):
            joints = np.arange(26)[:, None]
            sizes = 1.25 * (bboxes[:, 3] - bboxes[:, 1])
            corners = (bboxes[:, :2] + bboxes[:, 2:]) / 2 - sizes[:, None] * (0.375, 0.5)
            return ([corner + joints * (7 * 0.75 * size / 192, 9 * size / 256) for corner, size in zip(corners, sizes)],
                    np.full((len(bboxes), 26), 0.8))

    module = types.ModuleType('rtmlib')
    module.BodyWithFeet = BodyWithFeet
    runtime = types.ModuleType('onnxruntime')
    runtime.get_available_providers = lambda: ['CPUExecutionProvider']
    for name, made in (('rtmlib', module), ('onnxruntime', runtime)):
        made.__spec__ = types.SimpleNamespace()
        monkeypatch.setitem(sys.modules, name, made)
    return module


def test_people_of_rtmlib(stand_in, frames):
    check(list(RTMPoseDetector()(frames)))
    with pytest.raises(UserError, match='no network; is the network'):
        RTMPoseDetector(det='x')


def test_the_first_installed_detector_is_the_default(stand_in, monkeypatch):
    assert isinstance(detector.make_detector(None), RTMPoseDetector)
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    with pytest.raises(UserError, match='mediapipe'):
        detector.make_detector('mediapipe')
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    with pytest.raises(UserError, match='rtmlib cannot be used'):
        detector.make_detector('rtmlib')
    monkeypatch.setattr(detector, 'installed', list)
    with pytest.raises(UserError, match=r'needs a detector: pip install rtmlib.*--input'):
        detector.make_detector(None)
