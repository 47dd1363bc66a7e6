"""What can be done with a skeleton: much with the human body's 16 joints, less with any other skeleton.

    anatomy_of(skeleton).fix_swaps(track)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.errors import UserError, listing
from common.geometry import body
from common.geometry.detector_layouts import OWN, Layout, choose_layout, own_layout, to_h36m
from common.geometry.skeleton import Skeleton
from common.lifting import plausibility
from common.lifting.formats.people import Detections
from common.lifting.motion import floor
from common.lifting.motion.root import CameraView
from common.lifting.options import InputOptions, Options
from common.lifting.tracks import framing
from common.lifting.tracks.outliers import drop_outliers
from common.lifting.tracks.swaps import fix_swaps
from common.lifting.tracks.tracking import Track


class Anatomy:
    """Any skeleton: only its joints and bones are known.

    Attributes:
        stands: whether it has feet that stand still.
        file_joints: the joints that files must name; empty where the joints of detectors become its own.
    """

    stands = False

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.file_joints = skeleton.names

    def check(self, options: Options, checkpoint: str) -> None:
        """Refuse options that need a human body.

        Raises:
            UserError: there is such an option.
        """
        bvh = options.bvh or (options.output or '').lower().endswith('.bvh')
        needs = {'a --video without --input': not options.input, '--bvh': bvh, '--height': options.height,
                 '--up without a number': options.up != options.up,
                 f'--axes {options.axes}': options.axes not in (None, 'xy'),
                 f'--layout {options.layout}': options.layout not in (None, OWN)}
        if wrong := [flag for flag, given in needs.items() if given]:
            raise UserError(f'{wrong[0]} is for checkpoints of the 16 joints, and {checkpoint} lifts joints of its '
                            f'own: {listing(self.skeleton.names, 40)}.')

    def infer_layout(self, detections: Detections, options: InputOptions,
                     checkpoint: str) -> tuple[Detections, Layout, list[str]]:
        """The detections, their layout, and sentences about what was decided.

        Raises:
            UserError: the layout is not clear, or does not belong to the skeleton.
        """
        names = self.skeleton.names
        if OWN not in (detections.layout, options.layout) or detections.joints != len(names):
            raise UserError(f'{detections.path} has {detections.joints} joints without names; {checkpoint} lifts its '
                            f'own {len(names)}, and with --layout {OWN} they are taken in this order: '
                            f'{listing(names, 40)}.')
        print('Its joints are its own: swapped sides, standing feet and what is human are not looked for.')
        return detections, own_layout(names), []

    def joints(self, keypoints: np.ndarray, layout: Layout | None, trained_on: str, checkpoint: str) -> np.ndarray:
        """The joints of the skeleton, from keypoints (..., J, 2) of a layout.

        Raises:
            UserError: the number of joints does not fit.
        """
        if keypoints.shape[-2] != len(self.skeleton):
            raise UserError(f'the keypoints have {keypoints.shape[-2]} joints, and {checkpoint} lifts its own '
                            f'{len(self.skeleton)}: {listing(self.skeleton.names)}.')
        return keypoints

    def drop_guesses(self, track: Track, size: tuple[int, int], fps: float, scored: bool) -> None:
        """Mark or remove joints that the detector guessed or threw far away."""

    def fix_swaps(self, track: Track) -> None:
        """Exchange left and right where the detector has swapped them."""

    def missing_parts(self, track: Track, lifted: np.ndarray) -> list[str]:
        """Warnings about joints or parts that are missing; `lifted` (T,) are the frames with a pose."""
        return framing.missing_in_frames(track, lifted, self.skeleton)

    def implausible(self, keypoints: np.ndarray, positions: np.ndarray, view: CameraView) -> list[str]:
        """Warnings about poses that the skeleton cannot have."""
        return []

    def camera_pitch(self, up: float | None, people: Sequence[np.ndarray], measured: bool) -> float:
        """How far down the camera looks, degrees.

        Args:
            up: as typed; NaN without a number.
            people: the positions (T, J, 3) of each.
            measured: without a number it is measured on the people; otherwise it is the mean of training cameras.
        """
        return up or 0.0

    def height_of_floor(self, joints: np.ndarray, still: np.ndarray) -> np.ndarray | float:
        """The height of the floor under joints (T, J, 3), metres, z up: level, at the lowest joint."""
        return np.fmin.reduce(joints[..., 2], axis=None)  # ignores NaN


class HumanBody(Anatomy):
    """The 16 joints of the human body."""

    stands = True

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(skeleton)
        self.file_joints = ()

    def check(self, options: Options, checkpoint: str) -> None:
        """Every option applies."""

    def infer_layout(self, detections: Detections, options: InputOptions,
                     checkpoint: str) -> tuple[Detections, Layout, list[str]]:
        return plausibility.infer_layout(detections, 'h36m16' if options.layout == OWN else options.layout,
                                         options.axes)

    def joints(self, keypoints: np.ndarray, layout: Layout | None, trained_on: str, checkpoint: str) -> np.ndarray:
        layout = choose_layout(keypoints.shape[-2], layout.name if layout else None)
        if layout.name == 'h36m16':
            return keypoints
        return to_h36m(keypoints, np.ones(keypoints.shape[:-1]), layout, trained_on)[0]

    def drop_guesses(self, track: Track, size: tuple[int, int], fps: float, scored: bool) -> None:
        if not scored:
            framing.mark_guessed(track, size)
        drop_outliers(track, fps)

    def fix_swaps(self, track: Track) -> None:
        fix_swaps(track)

    def missing_parts(self, track: Track, lifted: np.ndarray) -> list[str]:
        return framing.missing_parts(track, lifted, self.skeleton)

    def implausible(self, keypoints: np.ndarray, positions: np.ndarray, view: CameraView) -> list[str]:
        return plausibility.not_human(keypoints, positions, view)

    def camera_pitch(self, up: float | None, people: Sequence[np.ndarray], measured: bool) -> float:
        if up is None or (np.isnan(up) and measured):
            return floor.camera_pitch(people)
        return floor.mean_camera_pitch() if np.isnan(up) else up

    def height_of_floor(self, joints: np.ndarray, still: np.ndarray) -> np.ndarray | float:
        return floor.height_of_floor(joints, still)


def anatomy_of(skeleton: Skeleton) -> Anatomy:
    """What can be done with this skeleton."""
    return HumanBody(skeleton) if skeleton.names == body.NAMES else Anatomy(skeleton)
