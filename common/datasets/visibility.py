"""Poses of which joints, or the whole 2D, are missing: which a network can use, and a warning that counts them."""

from __future__ import annotations

from torch import Tensor

from common.datasets.poses import Poses
from common.errors import UserError, listing, warn

FAR_MIRRORED = 0.1  # share of the poses whose mirror image is outside of the image, at most, without a warning


def with_joints(poses: Poses, fewest: float, purpose: str) -> Poses:
    """The poses that have 2D of enough joints. A warning counts the others, and those with some missing joints.

    Args:
        fewest: share of the joints, at least; 0 if the 2D is not used.
        purpose: of the poses, for sentences: 'to train', 'to test'.
    Raises:
        UserError: no pose is left.
    """
    if not fewest or bool(poses.keypoints.sum().isfinite()):
        return poses
    seen = poses.keypoints.isfinite().all(-1).sum(1).cpu()                             # (N,) number of joints
    enough = seen >= fewest * poses.keypoints.shape[1]
    behind = poses.behind().cpu()
    total, count = len(poses), int(enough.sum())
    if hidden := (seen[enough] < poses.keypoints.shape[1]).sum():
        warn(f'{hidden:,} of {total:,} poses {purpose} ({hidden / total:.1%}) lack joints in the 2D: the network gets '
             f'these joints as hidden.')
    if gone := (behind & ~enough).sum():
        where = listing(dict.fromkeys(_places(poses, behind)), 3)
        warn(f'{gone:,} of {total:,} poses {purpose} ({gone / total:.1%}) have a joint that is behind the camera, and '
             f'are left out for that camera: {where}.')
    if lacking := (~behind & ~enough).sum():
        few = 'joints' if fewest == 1 else f'more than {1 - fewest:.0%} of the joints'
        more = '; networks that are trained with --hide take such poses' if fewest == 1 else ''
        warn(f'{lacking:,} of {total:,} poses {purpose} ({lacking / total:.1%}) lack {few} in the 2D, and are left '
             f'out{more}.')
    if not count:
        raise UserError(f'none of the {total:,} poses {purpose} has 2D of all joints that the network needs: write 2D '
                        f'of these joints, or use a network that was trained with --hide.')
    return poses.select(enough.to(poses.keypoints.device))


def _places(poses: Poses, chosen: Tensor) -> list[str]:
    numbers = poses.sequence_of().cpu()[chosen].unique().tolist() if poses.sequences else []
    return [f'{sequence.subject} in camera {sequence.camera}' for sequence in map(poses.sequences.__getitem__, numbers)]


def warn_of_mirror_images(poses: Poses) -> None:
    """Warn where mirror images about the principal point lie outside of the image, as in crops beside it."""
    centers = poses.centers()
    if centers is None or not len(poses):
        return
    mirrored = 2 * centers - poses.keypoints[:, 0, 0]
    share = (mirrored.abs() > 1).float().mean()
    if share > FAR_MIRRORED:
        warn(f'the mirror images of {share:.0%} of the poses lie outside of the image, because the principal point is '
             f'far from its middle: a network that was not trained with --flip has never seen such poses, and its '
             f'errors with --tta flip mean nothing.')
