"""Training samples for the wild: augmented bodies, projected by virtual cameras, with the errors of detectors.

Everything is random and drawn again for each batch, from PyTorch's generator of the device; the checkpoint holds its
state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.argument_types import angle, non_negative_float, probability
from common.datasets.poses import CHUNK, Poses
from common.datasets.virtual.bodies import Bones, mirrored_at_random, with_others_limbs
from common.datasets.virtual.cameras import draw_cameras, random_rotations
from common.datasets.virtual.detector_noise import (
    SIMULATED_LAYOUTS,
    as_detectors_mean,
    detector_joints,
    detector_points,
    faulty,
    hidden_points,
    noisy,
)
from common.datasets.virtual.novelty import clip_novelty
from common.errors import UserError
from common.flags import flag
from common.geometry import body
from common.geometry.mirror import Mirror
from common.geometry.person import person_input, window_frames, window_stride
from common.geometry.skeleton import Skeleton

VIEWS_SEED = 20261125
LONGEST_STRIDE = 24  # between the frames of a window, thirtieths of a second


@dataclass(frozen=True)
class VirtualCameras:
    """The amounts of each random change, named as the flags; 0 changes nothing.

    Attributes:
        bones: standard deviation of the logarithm of bone lengths, by symmetric groups.
        limbs: share of the bodies that get the legs of another sample, and share that get the arms of a third.
        turn: share of the bodies turned in any direction.
        novelty: exponent of a clip's novelty (`clip_novelty`) in the chance that one of its poses is drawn; 0 draws all
            poses equally often.
        pitch: standard deviation of the cameras' pitch, degrees.
        extreme_views: share of the cameras that are held low, high or tilted, or have a wide lens near the person.
        detector_noise: median error of a joint, as a share of the person's spread in the image.
        detector_faults: share of the samples with gross errors: left and right exchanged, a joint on somebody else.
        hide: share of the samples with hidden joints.
        repeat: share of the windows that repeat their middle frame.
        rates: share of the windows whose frames have another distance than 4/30 s, from 1/30 s to 24/30 s.
        flip: mirror half of the bodies.
        layout: index of a detector's layout; None draws one for each sample.
    """

    novelty: float = flag(0.0, "draw a clip's poses in proportion to its novelty to this power; 0: all poses equally",
                          type=non_negative_float, metavar='F', more=True)
    bones: float = flag(0.0, 'change bone lengths by symmetric groups, by about this share', type=probability,
                        metavar='F', more=True)
    limbs: float = flag(0.0, 'give this share of the bodies the legs of another sample, and as many the arms',
                        type=probability, metavar='F', more=True)
    turn: float = flag(0.0, 'rotate this share of the bodies at random: on the floor, upside down', type=probability,
                       metavar='F', more=True)
    pitch: float = flag(15.0, 'standard deviation of the downward pitch of the cameras, whose mean is 8 degrees',
                        type=angle, metavar='DEG', more=True)
    extreme_views: float = flag(0.0, 'share of the cameras that are low, high, tilted or near the person',
                                type=probability, metavar='F', more=True)
    detector_noise: float = flag(0.0, 'median error of a joint, as a share of the spread of the joints',
                                 type=non_negative_float, metavar='F', more=True)
    detector_faults: float = flag(0.0, 'share of the samples with gross errors: left and right exchanged, a joint on '
                                       'somebody else', type=probability, metavar='F', more=True)
    hide: float = flag(0.0, 'hide joints in this share of the samples', type=probability, metavar='F', more=True)
    repeat: float = flag(0.0, 'repeat one frame in this share of the windows, so that the network also lifts single '
                              'pictures', type=probability, metavar='F', more=True)
    rates: float = flag(0.0, 'share of the windows whose frames have a random distance, so that the network serves '
                             'clips of any rate', type=probability, metavar='F', more=True)
    flip: bool = False
    layout: int | None = None


def virtual_views(poses: Poses, skeleton: Skeleton, window: int, fps: float, wild: VirtualCameras) -> Poses:
    """The poses as virtual cameras see them, unchanged and without hidden joints. The cameras are always the same.

    Args:
        poses: of any cameras.
        window, fps: as in `VirtualSamples`.
        wild: its pitch and detector_noise are used.
    """
    unchanged = VirtualCameras(pitch=wild.pitch, detector_noise=wild.detector_noise)
    samples = VirtualSamples(poses, skeleton, window, fps, unchanged)
    with torch.random.fork_rng():
        torch.manual_seed(VIEWS_SEED)
        parts = [samples(batch) for batch in torch.arange(len(poses), device=poses.positions.device).split(CHUNK)]
    keypoints, positions = map(torch.cat, zip(*parts, strict=True))
    return replace(poses, keypoints=keypoints, positions=positions, centred=True, whole=None)


class VirtualSamples:
    """The training pairs of a batch, changed at random as `VirtualCameras` describes.

    Args:
        poses: of any cameras; only their motion is used.
        window: W, number of frames that the network sees, odd.
        fps: frame rate of the recordings.
    Raises:
        UserError: the skeleton is not the 16 joints, from which all layouts are derived.
    """

    def __init__(self, poses: Poses, skeleton: Skeleton, window: int, fps: float, wild: VirtualCameras) -> None:
        if skeleton != body.SKELETON:
            raise UserError(f'virtual cameras need the 16 joints {", ".join(body.NAMES)}, from which the '
                            f'joints of all detectors are derived; these poses have {", ".join(skeleton.names)}.')
        whole, self.places = poses.within()  # neighbours come from the full rate
        self.world, self.wild, self.window, self.stride = whole.world(), wild, window, window_stride(fps)
        self.first, self.last = whole.bounds()
        self.mirror, self.bones = Mirror(skeleton, self.world.device), Bones(self.world.device)
        self.lengths = self.bones.lengths(self.world)
        self.chances = None
        if wild.novelty:
            novelty = clip_novelty(self.world, self.first) ** wild.novelty
            self.chances = (novelty / novelty.sum()).cumsum(0, dtype=torch.float64)

    def __call__(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs of these poses: (B,) indices -> keypoints (B, J, 2 W), positions (B, J, 3).

        Where clips are weighed by their novelty, as many other poses are drawn. Positions are of the middle frame, in
        metres from the hip, in the axes of a camera that points at the person; what the joints mean is in
        `as_detectors_mean`.
        """
        if self.chances is not None:
            drawn = torch.rand(len(batch), dtype=torch.float64, device=batch.device)
            batch = torch.searchsorted(self.chances, drawn).clamp(max=len(self.chances) - 1)
        keypoints, visible, positions, _ = self.draw(batch)
        return person_input(keypoints, visible), positions

    def draw(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The samples of these poses, before `person_input` is applied.

        Returns:
            keypoints (B, W, J, 2) in an image of focal length 1, which of them are visible (B, W, J), positions
            (B, J, 3), and the distance (B,) of the hip from the camera, metres.
        """
        wild, count, device, batch = self.wild, len(batch), batch.device, self.places[batch]
        middle = slice(self.window // 2, self.window // 2 + 1)
        stride: Tensor | int = self.stride
        if wild.rates:
            other = (torch.rand(count, 1, device=device) * math.log(LONGEST_STRIDE)).exp().round() * self.stride / 4
            stride = torch.where(torch.rand(count, 1, device=device) < wild.rates, other.round().clamp(min=1).long(),
                                 self.stride)
        bodies = self.world[window_frames(batch, self.first[batch], self.last[batch], self.window, stride)]
        bodies = bodies - bodies[:, middle, :1]                                        # (B, W, J, 3)
        if wild.limbs:
            bodies = with_others_limbs(bodies, wild.limbs)
        if wild.bones:
            bodies = self.bones.rebuilt(bodies, self.lengths, wild.bones)
        if wild.flip:
            bodies = mirrored_at_random(bodies, self.mirror)
        if wild.turn:
            turned = (bodies.flatten(1, 2) @ random_rotations(count, device)).view_as(bodies)
            bodies = torch.where(torch.rand(count, 1, 1, 1, device=device) < wild.turn, turned, bodies)

        cameras = draw_cameras(count, wild.pitch, device, wild.extreme_views)
        points = detector_points(bodies)
        facing = cameras.to_person_axes(points.flatten(1, 2))
        image = cameras.projected(facing).view(*points.shape[:3], 2)
        positions = as_detectors_mean(facing.view_as(points)[:, middle.start])

        hidden = hidden_points(image, wild.hide)
        if wild.detector_noise:
            image = noisy(image, wild.detector_noise)
        if wild.detector_faults:
            image = faulty(image, wild.detector_faults)
        layout = (torch.randint(len(SIMULATED_LAYOUTS), (count,), device=device) if wild.layout is None
                  else torch.full((count,), wild.layout, device=device))
        keypoints, visible = detector_joints(image, hidden, layout)
        if wild.repeat:
            once = torch.rand(count, 1, 1, device=device) < wild.repeat
            keypoints = torch.where(once.unsqueeze(-1), keypoints[:, middle], keypoints)
            visible = torch.where(once, visible[:, middle], visible)
        return keypoints, visible, positions, cameras.distance
