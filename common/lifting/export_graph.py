"""Writes a network as ONNX or as a PyTorch program, and compares the file with the network."""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from common.checkpoint import load_checkpoint, restore_model
from common.errors import UserError, printable
from common.files.atomic import atomic_write
from common.geometry.person import HIDDEN, STEP_SECONDS
from common.geometry.upright import AXES
from common.lifting.lifter import Lifter

OPSET = 18
TOLERANCE = 1e-4  # metres
INPUT, OUTPUT = 'keypoints', 'positions'
INPUTS = {'image': 'pixels normalised as x / w * 2 - [1, h / w] for an image of w x h',
          'person': f'x and y of frames {STEP_SECONDS:.3f} s apart around the middle one, relative to its hip and '
                    f'divided by the root mean square distance of the joints from the mean of their frame; '
                    f'{HIDDEN} for a hidden joint'}


POINTING_AXES = ('axes of a camera that points at the hip: x right, y down, z forward. With u = X / Z and v = Y / Z of '
                 "the hip's ray, a = sqrt(1 + u^2), b = sqrt(1 + u^2 + v^2), the camera's own axes are x' = x / a - "
                 "y u v / (a b) + z u / b, y' = y a / b + z v / b, z' = -x u / a - y v / (a b) + z / b")


class HipRelative(nn.Module):
    """The folded network minus its root: keypoints (B, J, 2) to positions (B, J, 3), the hip at the origin."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, keypoints: Tensor) -> Tensor:
        positions = self.network(keypoints)
        return positions - positions[:, :1]


def metadata(lifter: Lifter) -> dict[str, str]:
    """Joints, input, output and origin of the file, for its users."""
    skeleton = lifter.skeleton
    shape = f'(batch, {len(skeleton)}, {2 * lifter.window})'
    axes = AXES if lifter.normalization == 'image' else POINTING_AXES
    return {'joints': ','.join(skeleton.names), 'parents': json.dumps(list(skeleton.parents)),
            'input': f'keypoints {shape}, float32: {INPUTS[lifter.normalization]}; y down',
            'output': f'positions (batch, {len(skeleton)}, 3), float32: metres from the hip, {axes}',
            'network': lifter.description, 'trained_on': f'{lifter.trained_on} ({lifter.basis})',
            'checkpoint': printable(os.path.basename(lifter.path))}


def program(lifter: Lifter) -> torch.export.ExportedProgram:
    """The network as a graph, for any batch size."""
    module = HipRelative(lifter.model).eval()
    batch = {0: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        example = torch.zeros(2, len(lifter.skeleton), 2 * lifter.window)
        return torch.export.export(module, (example,), dynamic_shapes=(batch,), strict=False)


def write_onnx(path: str, lifter: Lifter) -> None:
    """Write ONNX of opset `OPSET`, with the metadata as its properties.

    Raises:
        UserError: a package is missing.
    """
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(package)
        except ImportError:
            raise UserError(f'ONNX needs the package {package}: pip install onnx onnxscript onnxruntime.') from None
    for name in ('torch.onnx', 'onnxscript', 'onnx_ir'):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # the exporter prints its steps
        warnings.simplefilter('ignore')
        exported = torch.onnx.export(program(lifter), dynamo=True, opset_version=OPSET, input_names=[INPUT],
                                     output_names=[OUTPUT])
    assert exported is not None
    model = exported.model_proto
    if [domain.version for domain in model.opset_import if domain.domain in ('', 'ai.onnx')] != [OPSET]:
        raise UserError(f'PyTorch {torch.__version__} does not write opset {OPSET}: use another version.')
    symbol = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField('dim_param'):  # assigning to it would remove a fixed size
                dimension.dim_param = dimension.dim_param.replace(symbol, 'batch')
    for name, text in metadata(lifter).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def write_pt2(path: str, lifter: Lifter) -> None:
    """Write a program for `torch.export.load`; the metadata is its extra file `metadata.json`."""
    with atomic_write(path) as file:
        torch.export.save(program(lifter), file, extra_files={'metadata.json': json.dumps(metadata(lifter))})


def load_onnx(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """The file as a function on one thread."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with open(path, 'rb') as file:  # onnxruntime opens only names that are UTF-8
        session = onnxruntime.InferenceSession(file.read(), options, providers=['CPUExecutionProvider'])
    return lambda keypoints: session.run([OUTPUT], {INPUT: keypoints})[0]


def load_pt2(path: str) -> Callable[[np.ndarray], np.ndarray]:
    with open(path, 'rb') as file:
        module = torch.export.load(io.BytesIO(file.read())).module()

    def call(keypoints: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(keypoints)).numpy()
    return call


def check(call: Callable[[np.ndarray], np.ndarray], lifter: Lifter, poses: np.ndarray) -> float:
    """Compare a written file with the network as it was trained (not folded), on poses and noise, in several batches.

    Args:
        poses: (N, J, 2 W) float32 normalised keypoints of real or lifelike poses.
    Returns:
        the largest difference, metres; relative if a position is more than a metre from the hip.
    """
    # Random joints within the size of a person. For wider ones networks predict poses of 100 m, and float32 is less
    # exact than the tolerance.
    noise = np.random.default_rng(0).normal(0, 0.1, (512, *poses.shape[1:])).astype(np.float32)
    network = restore_model(load_checkpoint(lifter.path), lifter.path, lifter.skeleton).eval()
    worst = 0.0
    for inputs in (poses, noise, noise[:1], noise[:7]):
        with torch.inference_mode():
            expected = network(torch.from_numpy(inputs)).numpy()
        expected = expected - expected[:, :1]
        differences = np.abs(call(inputs) - expected) / np.maximum(np.abs(expected), 1)
        worst = max(worst, float(differences.max()) if np.isfinite(differences).all() else np.inf)
    return worst
