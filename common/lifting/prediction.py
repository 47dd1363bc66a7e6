"""A run of predict.py: from a detector's file to the files of the people in it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch

from common.errors import UserError, listing, warn
from common.files.atomic import check_suffix
from common.geometry.camera import normalize_screen
from common.lifting import lift_output
from common.lifting.detections import read_detections
from common.lifting.detector_mediapipe import DETECTORS, detect
from common.lifting.formats.people import Detections
from common.lifting.layouts import Layout, choose_layout
from common.lifting.lift_output import Lifted
from common.lifting.lifter import AXES, AXES_UP, Lifter, turn_up, usual_pitch
from common.lifting.placing import make_clip
from common.lifting.smoothing import smooth
from common.lifting.tracks import framing, tracking
from common.lifting.tracks.swaps import fix_swaps
from common.lifting.tracks.tracking import Track
from common.rendering import animation
from common.rendering.video import VideoFrames
from common.rendering.visualization import check_size

USUAL_FPS = 30.0
_LOST = 15  # frames after which somebody without identifier is somebody new, unless --max_gap is longer


@dataclass(frozen=True)
class Options:
    """What to do: as the flags of predict.py of the same names."""

    checkpoint: str
    input: str | None = None
    output: str | None = None
    bvh: str | None = None
    render: str | None = None
    viz_size: float = 5
    format: str | None = None
    layout: str | None = None
    sequence: str | None = None
    size: tuple[int, int] | None = None
    video: str | None = None
    fps: float | None = None
    detector: str = 'mediapipe'
    trained_on: str | None = None
    person: str = 'all'
    min_score: float = 0.1
    max_gap: int = 10
    fix_swaps: bool = True
    center_crop: bool = False
    up: float | None = None
    smooth: bool = False
    smooth_cutoff: float = 1.5
    smooth_beta: float = 3.0
    device: torch.device | str = 'cpu'


def run(options: Options) -> None:
    """Read, lift, tell and write.

    Raises:
        UserError: it cannot be done.
    """
    _check_output(options)
    lifter = Lifter(options.checkpoint, options.device, options.trained_on)
    video = VideoFrames(options.video) if options.video else None
    detections = _detections(options, video)
    size = _size(options, detections, video)
    layout = choose_layout(detections.joints, options.layout, detections.layout, detections.path)
    detections, note = detections.scaled(size)
    _introduce(lifter, detections, layout, size, note)
    tracks = tracking.make_tracks(detections, layout, lifter.trained_on, options.min_score,
                                  max(_LOST, options.max_gap))
    if not tracks:
        raise UserError(f'{detections.path}: no joint has a score of --min_score {options.min_score:g} or more.')
    tracks = tracking.choose(tracks, options.person, detections.path)
    for sentence in framing.image_warnings(size, options.center_crop):
        warn(sentence)
    fps = options.fps or (frame_rate(video) if video else None)
    people = [_lift(options, lifter, track, size, fps or USUAL_FPS) for track in tracks]
    if not fps and (options.bvh or options.render or options.smooth):
        print(f'Frames are taken to be {USUAL_FPS:g} a second: --fps tells another rate.')
    if not any(np.isfinite(positions).any() for positions in people):
        raise UserError(f'{detections.path}: no frame has all the joints that a pose needs; a lower --min_score or a '
                        f'higher --max_gap lets more of them count.')
    _write(options, tracks, people, size, fps)
    if options.render:
        _render(options, tracks, people, size, fps or USUAL_FPS)


def frame_rate(video: VideoFrames) -> float:
    """Mean frames a second of a video."""
    return video.count / video.seconds if video.seconds > 0 else USUAL_FPS


def _check_output(options: Options) -> None:
    if options.output:
        check_suffix(options.output, lift_output.SUFFIXES, '--output')
    if options.bvh:
        check_suffix(options.bvh, ('.bvh',), '--bvh')
    if options.render:
        check_suffix(options.render, animation.SUFFIXES, '--render')
        check_size(options.viz_size)


def _detections(options: Options, video: VideoFrames | None) -> Detections:
    if options.input:
        return read_detections(options.input, options.format, options.sequence)
    assert video is not None and options.video is not None
    return detect(options.video, DETECTORS[options.detector](), video)


def _size(options: Options, detections: Detections, video: VideoFrames | None) -> tuple[int, int]:
    known = {'--size': options.size, detections.path: detections.size, options.video or '': video and video.size}
    given = {where: size for where, size in known.items() if size}
    if not given:
        raise UserError(f'{detections.path} does not tell the size of the image: give --size WxH, or the --video.')
    if len(set(given.values())) > 1:
        told = ', '.join(f'{where}: {width}x{height}' for where, (width, height) in given.items())
        warn(f'the size of the image is told differently ({told}); the first is taken.')
    return next(iter(given.values()))


def _introduce(lifter: Lifter, detections: Detections, layout: Layout, size: tuple[int, int], note: str | None) -> None:
    """Say what was recognised and what is assumed."""
    print(f'{detections.path}: {detections.format}, layout {layout.name}, {len(detections.people):,} frames of '
          f'{size[0]}x{size[1]}')
    if layout.approximate:
        print(f'{layout.name} has no {", ".join(layout.approximate)} of its own: approximated from the joints around.')
    basis = {'gt': 'ground truth', 'sh': 'Stacked Hourglass detections'}[lifter.trained_on]
    how = {'recorded': 'as it records', 'given': 'as --trained_on says',
           'assumed': 'which is assumed, as it does not tell; else give --trained_on sh'}[lifter.told]
    print(f'{lifter.path}: {lifter.description}, trained on {basis}, {how}.')
    if lifter.trained_on == 'sh' and layout.spine_sh is None and not layout.name.startswith('h36m'):
        warn(f'models trained on Stacked Hourglass detections want thorax and upper neck for Spine and Thorax, which '
             f'{layout.name} does not have: a model trained on ground truth fits it better.')
    if note:
        warn(note)


def _lift(options: Options, lifter: Lifter, track: Track, size: tuple[int, int], fps: float) -> np.ndarray:
    """Complete and lift a track: (T, 16, 3) in camera axes."""
    tracking.fill_gaps(track, options.max_gap)
    if options.fix_swaps:
        fix_swaps(track)
    normalized = normalize_screen(track.keypoints, *size)
    if options.center_crop:
        normalized = framing.center_crop(normalized, lifter.range)
    positions = lifter.lift(normalized)
    if options.smooth:
        step = int(track.frames[1] - track.frames[0]) if len(track.frames) > 1 else 1
        positions = smooth(positions, fps / step, options.smooth_cutoff, options.smooth_beta)
    lifted = np.isfinite(positions[:, 0, 0]).sum()
    filled = track.interpolated.any(1).sum()
    print(f'track {track.name}: frames {track.frames[0]} to {track.frames[-1]}, {lifted:,} of {len(track.frames):,} '
          f'lifted' + (f', joints interpolated in {filled:,}' if filled else ''))
    legs, arms = track.swapped.sum(0)
    if legs or arms:
        warn(f'track {track.name}: left and right were swapped in {legs} frames of the legs and {arms} of the '
             f'arms, of {len(track.frames)}, and were exchanged; --no_fix_swaps leaves them.')
    for sentence in framing.track_warnings(track, size, lifter.range, options.center_crop):
        warn(f'track {track.name}: {sentence}')
    return positions


def _write(options: Options, tracks: list[Track], people: list[np.ndarray], size: tuple[int, int],
           fps: float | None) -> None:
    several = len(tracks) > 1
    written = []
    for track, positions in zip(tracks, people):
        up = options.up is not None
        axes = f'{AXES_UP}, pitch {options.up:.2f} degrees' if options.up is not None else AXES
        turned = turn_up(positions, options.up) if options.up is not None else positions
        lifted = Lifted(track, turned, axes, up, size, fps, options.checkpoint)
        if options.output:
            path = lift_output.path_of(options.output, track, several)
            lift_output.write(path, lifted)
            written.append(path)
        if options.bvh and np.isfinite(positions).any():
            path = lift_output.path_of(options.bvh, track, several)
            between = lift_output.write_motion(path, lifted, fps or USUAL_FPS)
            written.append(path)
            if between:
                warn(f'{path}: {between} frames without a pose are put between those before and after.')
    if options.output:
        print(f'positions_3d: metres from the hip, {AXES_UP if options.up is not None else AXES}.')
    if written:
        print(f'Written: {listing(written, 8)}')


def _render(options: Options, tracks: list[Track], people: list[np.ndarray], size: tuple[int, int], fps: float) -> None:
    assert options.render is not None
    pitch = usual_pitch() if options.up is None else options.up
    caption = os.path.basename(options.input or options.video or '')
    clip, first, step = make_clip(tracks, people, size, fps, pitch, caption)
    video = VideoFrames(options.video, first=first, step=step) if options.video else None
    animation.render(clip, options.render, options.viz_size, video=video)
    print(f'Written: {options.render}')
