"""Augmented bodies: bones of other lengths, limbs that move as another's, mirrored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from common.geometry import body
from common.geometry.mirror import Mirror

# Bones of a child relative to an adult's, before both get the same stature (proportions at about 6 years).
CHILDREN = 0.1  # share of the rebuilt bodies
CHILD = {**dict.fromkeys((*body.HIPS, *body.KNEES, *body.FEET, *body.SHOULDERS), 0.87),
         **dict.fromkeys((*body.ELBOWS, *body.WRISTS), 0.9), body.HEAD: 1.3}


class Bones:
    """The bones of the 16 joints as tensors: lengths by symmetric groups, and bodies rebuilt with other lengths.

    A group is a bone, its mirror image, and the bones on either side of the Spine, which stays in the middle.
    """

    def __init__(self, device: torch.device) -> None:
        joints, parents = body.JOINTS, body.SKELETON.parents
        representatives = {body.THORAX: body.SPINE, **{left: right for right, left in body.LEGS + body.ARMS}}
        representative = [representatives.get(joint, joint) for joint in range(1, joints)]
        groups = sorted(set(representative))
        self.group = torch.tensor([groups.index(joint) for joint in representative], device=device)  # (J - 1,)
        self.parents = torch.tensor(parents[1:], device=device)
        # (J, J - 1): a joint's position is the sum of the bones between the hip and the joint
        self.chains = torch.zeros(joints, joints - 1, device=device)
        for joint in range(1, joints):  # parents come before their children
            self.chains[joint] = self.chains[parents[joint]]
            self.chains[joint, joint - 1] = 1
        self.child = torch.tensor([CHILD.get(joint, 1.0) for joint in range(1, joints)], device=device)  # (J - 1,)
        self.stature = self.chains[body.HEAD] + self.chains[body.RIGHT_FOOT]

    def vectors(self, positions: Tensor) -> Tensor:
        """(..., J, 3) to the bones (..., J - 1, 3), each from its parent to its joint."""
        return positions[..., 1:, :] - positions.index_select(-2, self.parents)

    def lengths(self, positions: Tensor) -> Tensor:
        """(J - 1,) median length of each bone over (N, J, 3), the same within a group."""
        lengths = self.vectors(positions).norm(dim=-1).median(0).values
        return (torch.bincount(self.group, lengths) / torch.bincount(self.group))[self.group]

    def rebuilt(self, positions: Tensor, lengths: Tensor, amount: float) -> Tensor:
        """Bodies with other bone lengths, the same directions of the bones, and all of the same stature.

        Half of the bodies start from their own lengths and half from the median lengths, because some motion was
        recorded with unrealistic bones. A tenth of them get a child's proportions.

        Args:
            positions: (B, W, J, 3); the frames of a window get the same bones.
            lengths: (J - 1,) median lengths, metres.
            amount: standard deviation of the logarithm of each group's factor.
        """
        factors = (torch.randn(len(positions), int(self.group.max()) + 1, device=positions.device) * amount).exp()
        vectors = self.vectors(positions)
        own = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6)                       # (B, W, J - 1, 1)
        coin = torch.rand(len(positions), 1, device=positions.device) < 0.5
        drawn = torch.where(coin, own.mean(1).squeeze(-1), lengths) * factors[:, self.group]   # (B, J - 1)
        children = torch.rand(len(positions), 1, device=positions.device) < CHILDREN
        drawn = torch.where(children, drawn * self.child, drawn)
        drawn = drawn * ((lengths @ self.stature) / (drawn @ self.stature)).unsqueeze(1)
        vectors = vectors / own * drawn[:, None, :, None]
        return positions[..., :1, :] + self.chains @ vectors


def mirrored_at_random(positions: Tensor, mirror: Mirror) -> Tensor:
    """The bodies, a random half of them mirrored: (B, W, J, 3), z up."""
    coin = torch.rand(len(positions), 1, 1, 1, device=positions.device) < 0.5
    return torch.where(coin, mirror(positions.flatten(0, 1)).view_as(positions), positions)


def with_others_limbs(bodies: Tensor, share: float) -> Tensor:
    """Bodies of which this share have the legs of another sample, and as many the arms of a third: (B, W, J, 3).

    The limbs keep their directions relative to the hips, or to the shoulders, and each body keeps its own lengths. So
    the network sees arms and legs together that were never recorded together (after Li et al., CVPR 2020).
    """
    bodies = bodies.clone()
    for limbs, low, high in ((body.LEGS, body.HIP, body.SPINE), (body.ARMS, body.SPINE, body.THORAX)):
        right, left = (bodies[:, :, joint] for joint in limbs[0])
        across = F.normalize(left - right, dim=-1)                                     # (B, W, 3)
        forward = F.normalize(torch.linalg.cross(across, bodies[:, :, high] - bodies[:, :, low]), dim=-1)
        axes = torch.stack([across, forward, torch.linalg.cross(across, forward)], 2)  # (B, W, 3, 3), rows
        other = torch.randperm(len(bodies), device=bodies.device)
        turn = axes[other].transpose(2, 3) @ axes                                      # the other's limbs to these axes
        coin = torch.rand(len(bodies), 1, 1, 1, device=bodies.device) < share
        starts, middles, tips = (bodies[:, :, joints] for joints in limbs)             # (B, W, 2, 3) each
        place, ends = starts, []
        for bones in (middles - starts, tips - middles):
            turned = F.normalize(bones[other] @ turn, dim=-1) * bones.norm(dim=-1, keepdim=True)
            place = place + torch.where(coin, turned, bones)
            ends.append(place)
        bodies[:, :, limbs[1]], bodies[:, :, limbs[2]] = ends
    return bodies
