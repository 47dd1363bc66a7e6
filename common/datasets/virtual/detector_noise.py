"""Simulated 2D detectors: their own joints for Hip, Spine, Thorax and Head, their errors, and missing joints.

`common/geometry/detector_layouts.py` derives the 16 joints from a detector's file. Here noisy joints give them in the
same way, for random layouts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from common.geometry import body, person
from common.geometry.body import HEAD, HIP, LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, SPINE, THORAX

SIMULATED_LAYOUTS = ('coco17', 'mediapipe33', 'body25', 'halpe26', 'mpii16')
NECK, NOSE, EYES, EARS, TOP = range(body.JOINTS, body.JOINTS + 5)  # points beside the 16 joints
POINTS = body.JOINTS + 5

# Forward and up from the head joint to each point of the face, metres; both eyes and both ears are one point each. Data
# sets place the head joint anywhere between mouth and crown, so the height is random for each person.
OFFSETS = [(forward, up) for forward, _, up in map(body.FACE.__getitem__, ('nose', 'left_eye', 'left_ear', 'top'))]
EYE_HEIGHT, OFFSET_SPREAD = (-0.01, 0.05), 0.015  # mean and standard deviation; standard deviation of each offset
TURN, NOD = 0.6, 0.35  # radians, standard deviations of the head relative to the chest

TAIL = 0.7  # standard deviation of the logarithm of a joint's error
FEWEST_VISIBLE = round(person.FEWEST_VISIBLE * body.JOINTS)  # as many joints as lifting asks for
# How often each edge of the image cuts a person (below, above, left, right), and the share of the person that is kept.
EDGES, KEPT = (0.7, 0.1, 0.1, 0.1), (0.4, 0.95)
# Additional errors: of wrists and feet, share of the spread; of moving limbs, share of their motion, and the most.
END_ERROR, BLUR, MOST_BLUR = 0.04, 0.1, 0.1
CONSTANT = 0.6  # share of the errors' variance that lasts over a window


def detector_points(bodies: Tensor) -> Tensor:
    """Bodies with neck, nose, eyes, ears and the top of the head: (B, W, 16, 3) metres to (B, W, 21, 3).

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
    offsets = torch.tensor(OFFSETS, device=device) + torch.randn(count, len(OFFSETS), 2, device=device) * OFFSET_SPREAD
    offsets[..., 1] += torch.randn(count, 1, device=device) * EYE_HEIGHT[1] + EYE_HEIGHT[0]
    face = offsets.unsqueeze(1) @ torch.stack([forward, up], 2)                        # (B, W, 4, 3)
    neck = (bodies[..., LEFT_SHOULDER, :] + bodies[..., RIGHT_SHOULDER, :]) / 2
    return torch.cat([bodies, neck.unsqueeze(2), bodies[..., HEAD:HEAD + 1, :] + face], 2)


def as_detectors_mean(points: Tensor) -> Tensor:
    """The 16 joints as detectors mean them: (..., 21, C) of `detector_points` to (..., 16, C), the training target.

    The Thorax is the middle of the shoulders, the Head the middle of the ears, and the Spine is halfway between Hip and
    Thorax. In motion capture the Thorax and the Head are ends of bones, which no detector finds.
    """
    joints = points[..., :body.JOINTS, :].clone()
    joints[..., SPINE, :], joints[..., THORAX, :] = body.trunk_joints(joints)
    joints[..., HEAD, :] = points[..., EARS, :]
    return joints


def _spread(points: Tensor) -> Tensor:
    """The spread of the person's joints in the image, over the window: (B, W, P, 2) to (B, 1, 1, 1)."""
    joints = points[..., :body.JOINTS, :]
    return (joints - joints.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt().view(-1, 1, 1, 1)


def noisy(points: Tensor, amount: float) -> Tensor:
    """The points with a detector's errors: normal errors whose size is random for each point, with a heavy tail.

    As with real detectors, part of an error is constant over the window and the rest changes in every frame.

    Args:
        points: (B, W, P, 2).
        amount: median error of a joint, in each direction, as a share of the person's spread in the image.
    """
    count, _, number, _ = points.shape
    spread = _spread(points)
    size = amount * spread * (torch.randn(count, 1, number, 1, device=points.device) * TAIL).exp()
    lasting = torch.randn(count, 1, number, 2, device=points.device) * CONSTANT ** 0.5
    return points + size * (lasting + torch.randn_like(points) * (1 - CONSTANT) ** 0.5)


def faulty(points: Tensor, share: float) -> Tensor:
    """The points with the gross errors of detectors in this share of the samples.

    In such a sample, wrists, feet and fast limbs have additional errors. For one or two frames, which the middle one
    may be among, a third of the samples exchange left and right arms or legs or both, and a third have a joint of an
    arm or leg on somebody else.

    Args:
        points: (B, W, P, 2).
        share: of the samples.
    """
    count, frames, number, _ = points.shape
    device = points.device

    def coins(chance: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device) < chance

    spread = _spread(points)
    faults = coins(share, 1, 1, 1)

    # Limbs in motion are blurred: their errors grow with the distance between neighbouring frames.
    steps = points.diff(dim=1).norm(dim=-1, keepdim=True)
    blur = BLUR * torch.cat([steps, steps[:, -1:]], 1) if frames > 1 else torch.zeros_like(points[..., :1])
    ends = points.new_zeros(number).index_fill_(0, torch.tensor(body.WRISTS + body.FEET, device=device), END_ERROR)
    size = (ends.view(-1, 1) + (blur / spread.clamp(min=1e-6)).clamp(max=MOST_BLUR)) * spread
    points = torch.where(faults, points + size * torch.randn_like(points), points)

    first = torch.randint(frames, (count, 1), device=device)
    moment = torch.arange(frames, device=device) - first                               # (B, W)
    moment = ((moment == 0) | (moment == 1) & coins(0.5, 1)).view(count, frames, 1, 1) & faults
    kind = torch.rand(count, 1, 1, 1, device=device) * 3
    exchanged = torch.arange(number, device=device).repeat(3, 1)
    for row, limbs in enumerate((body.LEGS, body.ARMS, body.LEGS + body.ARMS)):
        for right, left in limbs:
            exchanged[row, right], exchanged[row, left] = left, right
    order = exchanged[torch.randint(3, (count,), device=device)]                       # (B, P)
    swapped = points.gather(2, order.view(count, 1, number, 1).expand_as(points))
    points = torch.where(moment & (kind < 1), swapped, points)

    lost = torch.tensor(body.ELBOWS + body.WRISTS + body.KNEES + body.FEET, device=device)
    lost = lost[torch.randint(len(lost), (count, 1), device=device)] == torch.arange(number, device=device)  # (B, P)
    away = torch.randn(count, 1, 1, 2, device=device) * spread
    return torch.where(moment & (kind > 2) & lost.view(count, 1, number, 1), points + away, points)


def hidden_points(image: Tensor, hide: float) -> Tensor:
    """The points that a detector misses: (B, W, 21) bool, True where hidden.

    Args:
        image: (B, W, 21, 2) of `detector_points`, y down.
        hide: share of the samples with hidden joints. A quarter of them lack single joints, a quarter the outer part of
            limbs, a quarter both legs from the knees or the feet down (as behind a table), a quarter all that is beyond
            an edge of the image. Most are missing in the whole window. Samples that would keep fewer than
            `FEWEST_VISIBLE` joints keep all: of a single joint, the person's size is unknown.
    """
    count, frames, device = len(image), image.shape[1], image.device

    def coins(share: float | Tensor, *shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device) < share

    def chosen(*joints: int) -> Tensor:
        return torch.zeros(POINTS, dtype=torch.bool, device=device).index_fill_(
            0, torch.tensor(joints, device=device), True)

    kind = torch.rand(count, 1, device=device) * 4
    single = coins(0.3 * torch.rand(count, 1, device=device), POINTS)
    limbs = torch.zeros_like(single)
    head = HEAD, NOSE, EYES, EARS, TOP
    for outer, end in (((body.RIGHT_KNEE, body.RIGHT_FOOT), (body.RIGHT_FOOT,)),
                       ((body.LEFT_KNEE, body.LEFT_FOOT), (body.LEFT_FOOT,)),
                       ((body.LEFT_ELBOW, body.LEFT_WRIST), (body.LEFT_WRIST,)),
                       ((body.RIGHT_ELBOW, body.RIGHT_WRIST), (body.RIGHT_WRIST,)), (head, head)):
        limbs |= coins(0.3, 1) & torch.where(coins(0.5, 1), chosen(*outer), chosen(*end))
    legs = torch.where(coins(0.5, 1), chosen(*body.KNEES, *body.FEET), chosen(*body.FEET)) | coins(0.03, POINTS)
    hidden = torch.where(kind < 1, single, torch.where(kind < 2, limbs, legs)).unsqueeze(1)
    shown = coins(0.3, 1, 1) & coins(0.3, frames, 1)                                   # some frames show all of them
    hidden = torch.where(kind.unsqueeze(1) < 3, hidden & ~shown, beyond_edge(image))
    enough = ((~hidden[..., :body.JOINTS]).sum(2) >= FEWEST_VISIBLE).all(1).view(count, 1, 1)
    return hidden & enough & coins(hide, 1, 1)


def beyond_edge(image: Tensor) -> Tensor:
    """Which points an edge of the image cuts off: (B, W, P, 2) to (B, W, P) bool.

    The edge is below the person in 7 of 10 samples, otherwise above or on a side. It keeps 40 to 95 percent of the
    person's extent, and is the same in the whole window.
    """
    side = torch.multinomial(image.new_tensor(EDGES), len(image), replacement=True)
    directions = image.new_tensor([[0, 1], [0, -1], [1, 0], [-1, 0]])[side]            # toward the edge, (B, 2)
    depth = (image * directions.view(-1, 1, 1, 2)).sum(-1)                             # (B, W, P)
    low, high = depth.flatten(1).aminmax(dim=1, keepdim=True)
    kept = KEPT[0] + (KEPT[1] - KEPT[0]) * torch.rand_like(low)
    return depth > (low + (high - low) * kept).unsqueeze(2)


def detector_joints(points: Tensor, hidden: Tensor, layout: Tensor) -> tuple[Tensor, Tensor]:
    """The 16 joints as each layout contains or derives them.

    Args:
        points: (B, W, 21, 2) of `detector_points`, noisy, y down.
        hidden: (B, W, 21) bool.
        layout: (B,) index into `SIMULATED_LAYOUTS`.
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
    keypoints, missing = points[..., :body.JOINTS, :].clone(), hidden[..., :body.JOINTS].clone()
    each = torch.arange(len(layout), device=layout.device)
    for index, options in choices.items():
        keypoints[..., index, :] = torch.stack([place for place, _ in options])[layout, each]
        missing[..., index] = torch.stack([missed for _, missed in options])[layout, each]
    return keypoints, ~missing
