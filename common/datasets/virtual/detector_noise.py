"""Simulated 2D detectors: their own joints for Hip, Spine, Thorax and Head, their errors, and missing joints.

`common/geometry/detector_layouts.py` derives the 16 joints from a detector's file. Here noisy joints give them in the
same way, for random layouts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LAYOUTS = ('coco17', 'mediapipe33', 'body25', 'halpe26', 'mpii16')
HIP, RIGHT_HIP, LEFT_HIP, SPINE, THORAX, HEAD, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 1, 4, 7, 8, 9, 10, 13
NECK, NOSE, EYES, EARS, TOP = 16, 17, 18, 19, 20  # points beside the 16 joints
POINTS = 21

# Offsets forward and up from the head joint to each point of the face, metres. Data sets place the head joint anywhere
# between mouth and crown, so the height is random for each person.
FACE = ((0.11, -0.04), (0.09, 0.0), (0.0, -0.01), (0.0, 0.09))
FACE_HEIGHT, FACE_SPREAD = (-0.01, 0.05), 0.015  # mean and standard deviation of the eyes' height; of each offset
TURN, NOD = 0.6, 0.35  # radians, standard deviations of the head relative to the chest

TAIL = 0.7  # standard deviation of the logarithm of a joint's error
CONSTANT = 0.6  # share of the errors' variance that lasts over a window


def with_face(bodies: Tensor) -> Tensor:
    """Add neck, nose, eyes, ears and the top of the head to bodies: (B, W, 16, 3) metres to (B, W, 21, 3).

    The neck is between the shoulders. The head faces the same way as the chest, plus a random turn and nod for each
    body; motion capture of 16 joints does not record them.
    """
    count, device = len(bodies), bodies.device
    up = F.normalize(bodies[..., HEAD, :] - bodies[..., THORAX, :], dim=-1)            # (B, W, 3)
    across = bodies[..., LEFT_SHOULDER, :] - bodies[..., RIGHT_SHOULDER, :]
    forward = F.normalize(torch.linalg.cross(across, up), dim=-1)
    left = torch.linalg.cross(up, forward)
    turn, nod = torch.randn(2, count, 1, 1, device=device) * torch.tensor([TURN, NOD], device=device).view(2, 1, 1, 1)
    forward = forward * turn.cos() + left * turn.sin()
    forward, up = forward * nod.cos() - up * nod.sin(), up * nod.cos() + forward * nod.sin()
    offsets = torch.tensor(FACE, device=device) + torch.randn(count, len(FACE), 2, device=device) * FACE_SPREAD
    offsets[..., 1] += torch.randn(count, 1, device=device) * FACE_HEIGHT[1] + FACE_HEIGHT[0]
    face = offsets.unsqueeze(1) @ torch.stack([forward, up], 2)                        # (B, W, 4, 3)
    neck = (bodies[..., LEFT_SHOULDER, :] + bodies[..., RIGHT_SHOULDER, :]) / 2
    return torch.cat([bodies, neck.unsqueeze(2), bodies[..., HEAD:HEAD + 1, :] + face], 2)


def noisy(points: Tensor, amount: float) -> Tensor:
    """The points with a detector's errors: normal errors whose size is random for each point, with a heavy tail.

    As with real detectors, part of an error is constant over the window and the rest changes in every frame.

    Args:
        points: (B, W, P, 2).
        amount: median error of a joint, in each direction, as a share of the person's spread in the image.
    """
    count, _, number, _ = points.shape
    joints = points[..., :16, :]
    spread = (joints - joints.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt().view(-1, 1, 1, 1)
    size = amount * spread * (torch.randn(count, 1, number, 1, device=points.device) * TAIL).exp()
    lasting = torch.randn(count, 1, number, 2, device=points.device) * CONSTANT ** 0.5
    return points + size * (lasting + torch.randn_like(points) * (1 - CONSTANT) ** 0.5)


def unseen(count: int, frames: int, hide: float, device: torch.device) -> Tensor:
    """The points that a detector misses: (B, W, 21) bool, True where hidden.

    Args:
        hide: share of the samples with hidden joints. A third of them lack single joints, a third the outer part of
            limbs, a third both legs from the knees or the feet down. Most are missing in the whole window.
    """
    def coins(share: float | Tensor, *shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device) < share

    def chosen(*joints: int) -> Tensor:
        return torch.zeros(POINTS, dtype=torch.bool, device=device).index_fill_(0, torch.tensor(joints, device=device),
                                                                               True)

    kind = torch.rand(count, 1, device=device) * 3
    single = coins(0.3 * torch.rand(count, 1, device=device), POINTS)
    limbs = torch.zeros_like(single)
    for tail, end in (((2, 3), (3,)), ((5, 6), (6,)), ((11, 12), (12,)), ((14, 15), (15,)), ((9, 17, 18, 19, 20),) * 2):
        limbs |= coins(0.3, 1) & torch.where(coins(0.5, 1), chosen(*tail), chosen(*end))
    legs = torch.where(coins(0.5, 1), chosen(2, 3, 5, 6), chosen(3, 6)) | coins(0.03, POINTS)
    hidden = torch.where(kind < 1, single, torch.where(kind < 2, limbs, legs)) & coins(hide, 1)
    found = coins(0.3, 1, 1) & coins(0.3, frames, 1)                                   # in some frames all is seen
    return hidden.unsqueeze(1) & ~found


def detector_joints(points: Tensor, hidden: Tensor, layout: Tensor) -> tuple[Tensor, Tensor]:
    """The 16 joints as each layout contains or derives them.

    Args:
        points: (B, W, 21, 2) of `with_face`, noisy, y down.
        hidden: (B, W, 21) bool.
        layout: (B,) index into `LAYOUTS`.
    Returns:
        keypoints (B, W, 16, 2) and which are visible (B, W, 16).
    """
    def joint(index: int) -> tuple[Tensor, Tensor]:
        return points[..., index, :], hidden[..., index]

    def mean(*several: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return (torch.stack([place for place, _ in several]).mean(0),
                torch.stack([missing for _, missing in several]).any(0))

    hips, shoulders = mean(joint(RIGHT_HIP), joint(LEFT_HIP)), mean(joint(LEFT_SHOULDER), joint(RIGHT_SHOULDER))
    rise = torch.where(hidden[..., NOSE], 0, points[..., EYES, 1] - points[..., NOSE, 1])
    raised = torch.stack([points[..., EYES, 0], points[..., EYES, 1] + rise], -1)
    trunk = mean(hips, shoulders)
    choices = {  # for each layout, in their order
        HIP: (hips, hips, joint(HIP), joint(HIP), joint(HIP)),
        SPINE: (trunk, trunk, mean(joint(HIP), joint(NECK)), mean(joint(HIP), joint(THORAX)), trunk),
        THORAX: (shoulders, shoulders, joint(NECK), joint(THORAX), joint(THORAX)),
        HEAD: ((raised, hidden[..., EYES]), joint(EARS), joint(EYES), joint(TOP), joint(TOP)),
    }
    keypoints, missing = points[..., :16, :].clone(), hidden[..., :16].clone()
    each = torch.arange(len(layout), device=layout.device)
    for index, options in choices.items():
        keypoints[..., index, :] = torch.stack([place for place, _ in options])[layout, each]
        missing[..., index] = torch.stack([missed for _, missed in options])[layout, each]
    return keypoints, ~missing
