"""The training loss of poses: of joints, of joints and bones, with weights of joints."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from common.errors import UserError, listing
from common.evaluation.metrics import LOSSES
from common.geometry.skeleton import Skeleton


class Loss:
    """The loss of a recipe: (B, J, 3) predicted and true positions, metres, to a scalar.

    'joints_bones' is equation 5 of Zhao et al., CVPR 2019: the mean squared error of the joints plus the mean squared
    error of the bones, each the vector from a joint's parent to the joint.

    Args:
        name: in `metrics.LOSSES`.
        joints: the joints that the loss covers.
        skeleton: of the J joints.
        weights: of joints, like 'LWrist=2,RWrist=2'; the others weigh 1. Each joint's positions are scaled by its
            weight, or by the square root for squared losses, so that its share of the loss is multiplied by the weight.
    Raises:
        UserError: the weights are not positive numbers of the skeleton's joints, or the loss aligns poses.
    """

    def __init__(self, name: str, joints: slice, skeleton: Skeleton, weights: str = '') -> None:
        self.loss, self.joints = LOSSES[name], joints
        parents, children = zip(*skeleton.bones, strict=True)
        self.bones = (torch.tensor(parents), torch.tensor(children)) if name == 'joints_bones' else None
        self.scale: Tensor | None = None
        if weights:
            if name == 'mpjpe_aligned':
                raise UserError('--joint_weights scales the joints, and scaled poses cannot be aligned: give another '
                                '--loss than mpjpe_aligned, like mpjpe.')
            power = 0.5 if name in ('mse', 'joints_bones') else 1.0
            self.scale = torch.tensor(_weights(weights, skeleton)).pow(power)[joints, None]

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        predicted = predicted.to(target.dtype)
        one, two = predicted[:, self.joints], target[:, self.joints]
        if self.scale is not None:
            scale = self.scale.to(target)
            one, two = one * scale, two * scale
        loss = self.loss(one, two)
        if self.bones:
            parents, children = (joints.to(target.device) for joints in self.bones)
            loss = loss + self.loss(*(pose[:, children] - pose[:, parents] for pose in (predicted, target)))
        return loss


def _weights(text: str, skeleton: Skeleton) -> list[float]:
    """(J,) the weights of the joints."""
    weights = dict.fromkeys(skeleton.names, 1.0)
    for part in filter(None, text.split(',')):
        name, _, number = (piece.strip() for piece in part.partition('='))
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if name not in weights or not 0 < weight < math.inf:
            raise UserError(f'--joint_weights {part}: give NAME=WEIGHT, a positive weight of one of the joints '
                            f'{listing(skeleton.names, 40)}.')
        weights[name] = weight
    return list(weights.values())
