"""What predict.py prints: what was recognised, what is assumed, and a line about each person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.errors import counted, warn
from common.geometry.camera import FIELD_OF_VIEW
from common.geometry.detector_layouts import OWN, Layout
from common.lifting.formats.people import Detections
from common.lifting.lift_output import LiftedTrack
from common.lifting.lifter import Lifter
from common.lifting.motion.root import CameraView
from common.lifting.tracks import framing


def print_input(detections: Detections, layout: Layout, view: CameraView, lifter: Lifter) -> None:
    """Print what was recognised, and what the model is."""
    frames = counted(len(detections.people), 'photograph' if detections.photos else 'frame')
    of = 'several sizes' if detections.sizes else f'{view.size[0]}x{view.size[1]}'
    print(f'{detections.path}: {detections.format}, layout {layout.name}, {frames} of {of}')
    if layout.more:
        print(f'Of its {layout.joints} joints the first {len(layout.joint_names)} are lifted.')
    if layout.approximate:
        print(f'{layout.name} has no {", ".join(layout.approximate)} of its own: approximated from the joints around.')
    print(f'{lifter.path}: {lifter.description}, {lifter.training()}.')
    if lifter.trained_on == 'sh' and layout.spine_sh is None and layout.name not in ('h36m16', 'h36m17', OWN):
        warn(f'models trained on Stacked Hourglass detections want thorax and upper neck for Spine and Thorax, which '
             f'{layout.name} does not have: a model trained on ground truth fits it better.')


def print_track(lifted: LiftedTrack) -> None:
    """Print a line about a person, and a warning where left and right were exchanged."""
    track = lifted.track
    count, filled = np.isfinite(lifted.positions).all((1, 2)).sum(), track.interpolated.any(1).sum()
    print(f'track {track.name}: frames {track.frames[0]} to {track.frames[-1]}, {count:,} of {len(track.frames):,} '
          f'lifted' + (f', joints interpolated in {filled:,}' if filled else '')
          + (f', joints guessed in {lifted.guessed.any(1).sum():,}' if lifted.guessed.any() else ''))
    legs, arms = track.swapped.sum(0)
    if legs or arms:
        warn(f'track {track.name}: left and right were swapped in {legs} frames of the legs and {arms} of the '
             f'arms, of {len(track.frames)}, and were exchanged; --no_fix_swaps leaves them.')


def print_photos(detections: Detections, people: Sequence[LiftedTrack]) -> None:
    """Print how many people of photographs are lifted."""
    lifted = sum(bool(np.isfinite(person.positions).any()) for person in people)
    print(f'{len(people):,} people of {len(detections.people):,} photographs, {lifted:,} lifted, each by itself')
    if lifted < len(people):
        warn(f'{len(people) - lifted} people lack joints and stay empty; of all, missing: '
             f'{framing.share_of_missing([person.track for person in people], people[0].skeleton)}.')


def print_assumptions(view: CameraView, photos: bool, focal: float | None) -> None:
    """Print the frame rate and the focal length that are assumed."""
    if not photos and not view.fps:
        print(f'The frame rate is unknown: {view.rate:g} frames a second are assumed; --fps gives another rate.')
    if not focal:
        print(f'The focal length is unknown: {view.focal:.0f} pixels are assumed, a field of view of '
              f'{FIELD_OF_VIEW:.0f} degrees across the diagonal (--focal gives another). Distances are in proportion.')
