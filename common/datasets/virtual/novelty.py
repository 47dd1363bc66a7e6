"""The novelty of motion clips: how far their poses are from the poses of all other clips."""

from __future__ import annotations

import torch
from torch import Tensor

from common.geometry import body

EVERY = 10  # of the poses are compared, a third of a second at 30 frames a second
RANGE = (0.02, 0.2)  # metres: a repetition of another clip, and errors of the recording, count no less and no more
CHUNK = 1 << 11  # number of poses that are compared at a time


def clip_novelty(world: Tensor, first: Tensor) -> Tensor:
    """The novelty of each pose's clip, metres: the median distance of the clip's poses from their nearest neighbours.

    A pose's nearest neighbour is the most similar pose of all other clips, after both are turned to the same heading.
    The distance is the root mean square over the joints. A handstand that one clip shows has no near neighbour, and the
    tenth stroll has many, so a clip that repeats others counts little and a rare one much. One pose in ten is compared.

    Args:
        world: (N, 16, 3) metres, z up.
        first: (N,) index of the first pose of each pose's clip.
    Returns:
        (N,), within `RANGE`; all the same if there is one clip.
    """
    starts, clip = first.unique(return_inverse=True)
    if len(starts) < 2:
        return world.new_full((len(world),), RANGE[1])
    chosen = torch.arange(len(world), device=world.device)
    chosen = chosen[(chosen - first) % EVERY == 0]                                     # at least one of each clip
    poses, clips = same_heading(world[chosen]).flatten(1), clip[chosen]
    nearest = torch.cat([
        torch.cdist(some, poses).masked_fill_(of.unsqueeze(1) == clips, torch.inf).min(1).values
        for some, of in zip(poses.split(CHUNK), clips.split(CHUNK), strict=True)]) / world.shape[1] ** 0.5
    medians = torch.stack([part.median() for part in nearest.split(torch.bincount(clips).tolist())])
    return medians.clamp(*RANGE)[clip]


def same_heading(world: Tensor) -> Tensor:
    """Poses (N, 16, 3) relative to the hip, turned about z so that the left hip is in the direction of x."""
    poses = world - world[:, :1]
    across = world[:, body.LEFT_HIP, :2] - world[:, body.RIGHT_HIP, :2]
    cos, sin = torch.nn.functional.normalize(across, dim=1).unbind(1)
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    return torch.cat([poses[..., :2] @ turn, poses[..., 2:]], 2)
