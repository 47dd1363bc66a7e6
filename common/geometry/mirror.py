"""Mirror images of poses."""

from __future__ import annotations

import torch
from torch import Tensor

from common.errors import UserError
from common.geometry.skeleton import Skeleton


class Mirror:
    """Mirrors poses: x changes its sign, and left and right joints are exchanged.

    The mirror image of a pose in the image is what the camera sees of the mirrored pose: x is mirrored about the
    principal point of the camera. Lens distortion is ignored.

    Raises:
        UserError: the skeleton has no left and right joints, so that a mirrored pose would be of another kind of body.
    """

    def __init__(self, skeleton: Skeleton, device: torch.device) -> None:
        if not skeleton.left:
            raise UserError('a mirrored pose has left and right exchanged, and no joint of this data set is a left or '
                            'right one: leave --flip and --tta flip out, or write joints_left and joints_right '
                            '(docs/datasets.md).')
        order = list(range(len(skeleton)))
        for left, right in zip(skeleton.left, skeleton.right, strict=True):
            order[left], order[right] = right, left
        self.order = torch.tensor(order, device=device)

    def __call__(self, joints: Tensor, centers: Tensor | None = None) -> Tensor:
        """Mirror (B, J, 3) camera coordinates relative to the hip, or (B, J, 2 W) image coordinates of W frames.

        Args:
            centers: (B,) x of the principal points in image coordinates; None for coordinates relative to the person.
        """
        axes = joints.shape[2] if joints.shape[2] % 2 else 2
        signs = joints.new_tensor([-1, 1, 1][:axes]).repeat(joints.shape[2] // axes)
        mirrored = joints.index_select(1, self.order) * signs
        if centers is not None:
            mirrored[..., ::2] += 2 * centers[:, None, None]
        return mirrored


def mirror_at_evaluation(tta: str, skeleton: Skeleton, device: torch.device) -> Mirror | None:
    """The mirror that an evaluation averages over: with `--tta flip`, otherwise None."""
    return Mirror(skeleton, device) if tta == 'flip' else None
