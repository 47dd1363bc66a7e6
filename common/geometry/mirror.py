"""Mirror images of poses."""

from __future__ import annotations

import torch
from torch import Tensor

from common.geometry.skeleton import Skeleton


class Mirror:
    """Mirrors poses: x changes its sign, and left and right joints are exchanged."""

    def __init__(self, skeleton: Skeleton, device: torch.device) -> None:
        order = list(range(len(skeleton)))
        for left, right in zip(skeleton.left, skeleton.right, strict=True):
            order[left], order[right] = right, left
        self.order = torch.tensor(order, device=device)

    def __call__(self, joints: Tensor) -> Tensor:
        """Mirror (B, J, 3) camera coordinates relative to the hip, or (B, J, 2 W) image coordinates of W frames."""
        axes = joints.shape[2] if joints.shape[2] % 2 else 2
        return joints.index_select(1, self.order) * joints.new_tensor([-1, 1, 1][:axes]).repeat(joints.shape[2] // axes)


def mirror_at_evaluation(tta: str, skeleton: Skeleton, device: torch.device) -> Mirror | None:
    """The mirror that an evaluation averages over: with `--tta flip`, otherwise None."""
    return Mirror(skeleton, device) if tta == 'flip' else None
