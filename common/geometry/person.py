"""The person as a network's input: keypoints independent of place, size, resolution and focal length."""

from __future__ import annotations

import torch
from torch import Tensor

STEP_SECONDS = 4 / 30  # between the frames of a window
# A neighbour that is farther away is worse than none. On cmu the network for the wild has a P-MPJPE of 48.4 mm with
# neighbours at 0.4 s, 50.0 at 0.5, 57.2 at 1, and 49.8 with one frame repeated.
FARTHEST_SECONDS = 0.4
FEWEST_VISIBLE = 0.5  # share of the joints; with fewer visible joints a network does not guess the others
HIDDEN = (0.0, 3.0)  # a hidden joint in the input: below the person, and the same in the mirrored pose


def person_input(keypoints: Tensor, visible: Tensor | None = None) -> Tensor:
    """Keypoints of a window of frames, centred on the person and divided by the spread of the joints.

    The whole window shares one centre and one scale, so that it keeps the person's motion. The centre is the hip of the
    middle frame, or the mean of its visible joints where the hip is hidden. The scale is the root mean square distance
    of visible joints from the mean of their frame. Hidden joints are set to `HIDDEN`.

    No inverse is needed: the network predicts metres from the hip, whatever the place and size in the image.

    Args:
        keypoints: (..., W, J, 2) in any unit that is the same for x and y; x right, y down, the hip first. W is odd.
        visible: (..., W, J) bool. None: the joints that are not finite are hidden.
    Returns:
        (..., J, 2 W): x and y of the first frame, of the second, ...
    """
    if visible is None:
        visible = keypoints.isfinite().all(-1)
    shown = visible.unsqueeze(-1)                                                      # (..., W, J, 1)
    points = torch.where(shown, keypoints, 0)
    count = shown.sum(-2, keepdim=True)
    mean = points.sum(-2, keepdim=True) / count.clamp(min=1)                           # (..., W, 1, 2)
    square = torch.where(shown, points - mean, 0).square().sum((-3, -2, -1), keepdim=True)
    scale = (square / count.sum((-3, -2), keepdim=True).clamp(min=1)).sqrt()           # (..., 1, 1, 1)
    middle = slice(keypoints.shape[-3] // 2, keypoints.shape[-3] // 2 + 1)
    centre = torch.where(shown[..., middle, :1, :], points[..., middle, :1, :], mean[..., middle, :, :])
    person = torch.where(shown, (points - centre) / scale.clamp(min=1e-6), keypoints.new_tensor(HIDDEN))
    return person.transpose(-3, -2).flatten(-2)                                        # (..., J, 2 W)


def person_ray(rays: Tensor) -> Tensor:
    """The ray towards a person: of the hip, or the mean of the visible joints where the hip is hidden.

    Args:
        rays: (..., J, 2) X / Z and Y / Z of the joints in one frame; NaN where a joint is hidden.
    Returns:
        (..., 2).
    """
    return torch.where(rays[..., 0, :].isfinite(), rays[..., 0, :], rays.nanmean(-2))


def to_camera_axes(positions: Tensor, ray: Tensor) -> Tensor:
    """The answer of a network whose input is centred on the person, in the axes of the camera.

    Such a network cannot see where in the image the person is, and answers in the axes of a camera that points at the
    person. That camera is turned about its vertical axis, then tilted, and does not roll.

    Args:
        positions: (B, J, 3) metres from the hip, as predicted.
        ray: (B, 2) X / Z and Y / Z of the person, of `person_ray`.
    Returns:
        (B, J, 3) metres from the hip; x right, y down, z forward.
    """
    x, y = ray.unbind(-1)
    level, length = (1 + x * x).sqrt(), (1 + x * x + y * y).sqrt()
    sine, cosine, down, ahead = x / level, 1 / level, y / length, level / length
    rows = (cosine, -sine * down, sine * ahead, torch.zeros_like(x), ahead, down, -sine, -cosine * down, cosine * ahead)
    turn = torch.stack(rows, -1).view(-1, 3, 3)
    return (positions.to(turn) @ turn.transpose(1, 2)).to(positions)


def person_windows(keypoints: Tensor, frames: Tensor, first: Tensor | int, last: Tensor | int, window: int,
                   fps: float) -> Tensor:
    """`person_input` of the windows around some frames of a clip, (B, J, 2 W).

    Args:
        keypoints: (T, J, 2) of all frames, as for `person_input`.
        frames, first, last, window: as for `window_frames`.
        fps: frames a second.
    """
    return person_input(keypoints[window_frames(frames, first, last, window, window_stride(fps))])


def window_stride(fps: float) -> int:
    """The distance between neighbouring frames of a window, in frames: 4 at 30 a second.

    0 where the next frame is too far away in time: the window then repeats its middle frame, as for a single picture.
    """
    return max(round(STEP_SECONDS * fps), 1) if fps >= 1 / FARTHEST_SECONDS else 0


def window_frames(frames: Tensor, first: Tensor | int, last: Tensor | int, window: int,
                  stride: Tensor | int) -> Tensor:
    """Numbers of the frames in the windows around some frames; at the ends of a clip its end frames repeat.

    Args:
        frames: (B,) numbers of the middle frames.
        first, last: (B,) or one for all, bounds of their clips, inclusive.
        window: W, odd.
        stride: of `window_stride`, one for all or (B, 1).
    Returns:
        (B, W).
    """
    offsets = torch.arange(-(window // 2), window // 2 + 1, device=frames.device) * stride
    bounds = (torch.as_tensor(bound, device=frames.device).reshape(-1, 1) for bound in (first, last))
    return (frames.unsqueeze(1) + offsets).clamp(*bounds)
