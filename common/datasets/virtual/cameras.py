"""Virtual cameras: random cameras around a person, with perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

PITCH_MEAN, PITCH_RANGE = 8.0, (-30.0, 60.0)  # downward pitch, degrees
ROLL, ASIDE, ABOVE = 4.0, 12.0, 8.0  # standard deviations in degrees, of the roll and of the person's angles off axis
OFF_AXIS = 30.0  # largest angle off the axis in each direction, degrees
NEAR, FAR = 2.0, 9.0  # metres from the camera to the hip
# Extreme views: held low, high or tilted, with a wide lens near the person.
EXTREME_PITCH, EXTREME_ROLL, EXTREME_OFF_AXIS, EXTREME_NEAR, EXTREME_FAR = (-50.0, 75.0), 15.0, 40.0, 1.2, 3.0
_NEAREST = 0.3  # smallest depth of a joint, metres


@dataclass(frozen=True)
class RandomCameras:
    """Cameras, one for each sample, with the person off their axis.

    Attributes:
        pointing: (B, 3, 3) rotation from world axes (z up) to the axes of a camera that points at the person (x right,
            y down, z forward). Training targets are in these axes.
        looking: (B, 3, 3) rotation from there to the axes of the camera itself.
        distance: (B,) metres to the hip.
    """

    pointing: Tensor
    looking: Tensor
    distance: Tensor

    def to_person_axes(self, world: Tensor) -> Tensor:
        """(B, N, 3) metres from the hip in world axes, to the axes of the cameras that point at the person."""
        return world @ self.pointing.transpose(1, 2)

    def projected(self, points: Tensor) -> Tensor:
        """(B, N, 3) of `to_person_axes` to X / Z, Y / Z (B, N, 2) in the camera's image, focal length 1."""
        away = torch.stack([torch.zeros_like(self.distance)] * 2 + [self.distance], 1).unsqueeze(1)  # (B, 1, 3)
        points = (points + away) @ self.looking.transpose(1, 2)
        return points[..., :2] / points[..., 2:].clamp(min=_NEAREST)


def draw_cameras(count: int, pitch_spread: float, device: torch.device, extreme: float = 0.0) -> RandomCameras:
    """Random cameras: heading and distance are uniform; pitch, roll and the angles off the axis are normal.

    Args:
        pitch_spread: standard deviation of the pitch, degrees.
        extreme: share of extreme views, whose pitch and angles off the axis are uniform.
    """
    def normal(spread: float, mean: float = 0.0) -> Tensor:
        return torch.randn(count, device=device) * spread + mean

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, device=device)

    heading = uniform(0, 2 * math.pi)
    pitch, roll = normal(pitch_spread, PITCH_MEAN).clamp(*PITCH_RANGE), normal(ROLL)
    aside, above = (normal(spread).clamp(-OFF_AXIS, OFF_AXIS) for spread in (ASIDE, ABOVE))
    distance = uniform(NEAR, FAR)
    if extreme:
        chosen = torch.rand(count, device=device) < extreme
        usual = pitch, roll, aside, above, distance
        others = (uniform(*EXTREME_PITCH), normal(EXTREME_ROLL), *(uniform(-EXTREME_OFF_AXIS, EXTREME_OFF_AXIS)
                  for _ in range(2)), uniform(EXTREME_NEAR, EXTREME_FAR))
        pitch, roll, aside, above, distance = (torch.where(chosen, *pair) for pair in zip(others, usual, strict=True))
    pitch, roll, aside, above = (angle.deg2rad() for angle in (pitch, roll, aside, above))
    level = torch.tensor([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]], device=device)          # right, down, forward along x
    return RandomCameras(about(2, roll) @ about(0, pitch) @ level @ about(2, heading),
                          about(1, aside) @ about(0, above), distance)


def about(axis: int, angles: Tensor) -> Tensor:
    """(B, 3, 3) rotations about the axis x, y or z (0, 1, 2) by (B,) radians."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotations = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
    rotations[:, first, first] = rotations[:, second, second] = angles.cos()
    rotations[:, second, first] = angles.sin()
    rotations[:, first, second] = -rotations[:, second, first]
    return rotations


def random_rotations(count: int, device: torch.device) -> Tensor:
    """(B, 3, 3) uniformly distributed rotations, from quaternions of four normal numbers."""
    w, x, y, z = torch.nn.functional.normalize(torch.randn(count, 4, device=device)).unbind(1)
    return torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1).view(-1, 3, 3)
