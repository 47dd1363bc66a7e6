"""A run of predict.py: from a detector's file to the files of the people in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

import numpy as np
import torch

from common.errors import UserError, listing, warn
from common.files.atomic import check_suffix
from common.geometry import body
from common.geometry.camera import normalize_screen
from common.geometry.detector_layouts import OWN, Layout, own_layout
from common.lifting import lift_output
from common.lifting.bvh import write_bvh
from common.lifting.detections import read_detections, sequence_names
from common.lifting.detectors.detector import detect, make_detector
from common.lifting.formats.people import Detections
from common.lifting.lift_output import LiftedTrack
from common.lifting.lifter import Lifter, mean_camera_pitch
from common.lifting.motion.root import FIELD_OF_VIEW, CameraView, default_focal
from common.lifting.motion.smoothing import CUTOFF
from common.lifting.motion.stabilise import stabilise
from common.lifting.placing import camera_pitch, in_room, make_clip
from common.lifting.plausibility import infer_layout, not_human
from common.lifting.tracks import framing, tracking
from common.lifting.tracks.outliers import drop_outliers
from common.lifting.tracks.swaps import fix_swaps
from common.lifting.tracks.tracking import Track
from common.rendering import animation
from common.rendering.video import VideoFrames
from common.rendering.visualization import check_size

_LOST = 15  # frames after which a person without identifier counts as a new one, unless --max_gap is longer


@dataclass(frozen=True)
class Options:
    """The options of a run, named as the flags of predict.py."""

    checkpoint: str | None = None
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
    detector: str | None = None
    trained_on: str | None = None
    person: str = 'all'
    min_score: float = 0.1
    max_gap: int = 10
    fix_swaps: bool = True
    center_crop: bool | None = None
    photos: bool | None = None
    axes: str | None = None
    up: float | None = None
    focal: float | None = None
    height: float | None = None
    smooth: bool = True
    smooth_cutoff: float = CUTOFF
    device: torch.device | str = 'cpu'


def run(options: Options) -> None:
    """Read, lift, report and write, every sequence of the file if all are asked for.

    Raises:
        UserError: it cannot be done.
    """
    _check_output(options)
    if options.sequence != 'all':
        _run_sequence(options)
        return
    names = sequence_names(options.input, options.format) if options.input else []
    for name in names if len(names) > 1 else ():
        print(f'Sequence {name}')
        end = '_' + re.sub(r'[^\w.-]+', '_', name)
        output, bvh, render = (path and lift_output.with_end(path, end)
                               for path in (options.output, options.bvh, options.render))
        _run_sequence(replace(options, sequence=name, output=output, bvh=bvh, render=render))
    if len(names) <= 1:
        _run_sequence(replace(options, sequence=None))


def _run_sequence(options: Options) -> None:
    lifter = Lifter(options.checkpoint, options.device, options.trained_on)
    human = body.is_human(lifter.skeleton)
    if not human:
        _check_own(options, lifter)
    video = VideoFrames(options.video) if options.video else None
    detections = _detections(options, video, () if human else lifter.skeleton.names)
    size = _size(options, detections, video)
    counted = None
    if video and options.input:
        detections, counted = detections.counted_as(video.count)
    detections, scaled = detections.scaled(size)
    if human:
        name = 'h36m16' if options.layout == OWN else options.layout
        detections, layout, notes = infer_layout(detections, name, options.axes)
    else:
        layout, notes = _own_layout(options, lifter, detections), []
    _introduce(lifter, detections, layout, size, [note for note in (counted, scaled, *notes) if note])
    tracks = tracking.make_tracks(detections, layout, lifter.trained_on, options.min_score,
                                  max(_LOST, options.max_gap))
    if not tracks:
        raise UserError(f'{detections.path}: no joint has a score of --min_score {options.min_score:g} or more.')
    tracks = tracking.choose(tracks, options.person, detections.path)
    fps = options.fps or (frame_rate(video) if video else detections.fps)
    view = CameraView(size, options.focal or default_focal(size), fps)
    people = [_lift(options, lifter, track, _view_of(track, view), detections) for track in tracks]
    if detections.photos:
        _report_photos(detections, people)
    elif not view.fps:
        print(f'The frame rate is unknown: {view.rate:g} frames a second are assumed; --fps gives another rate.')
    if not any(np.isfinite(lifted.positions).any() for lifted in people):
        raise UserError(f'{detections.path}: no frame has all the joints that a pose needs. Missing: '
                        f'{framing.missing_joints(tracks, lifter.skeleton)} of the frames; a lower --min_score or a '
                        f'higher --max_gap lets more of them count.')
    if not options.focal:
        print(f'The focal length is unknown: {view.focal:.0f} pixels are assumed, a field of view of '
              f'{FIELD_OF_VIEW:.0f} degrees across the diagonal (--focal gives another). Distances are in proportion.')
    pitch = _pitch(options, lifter, people)
    _write(options, lifter, people, view, pitch)
    if options.render:
        if detections.photos:  # photographs become consecutive frames
            people = [replace(lifted, track=replace(lifted.track, frames=np.array([place])))
                      for place, lifted in enumerate(people)]
        _render(options, people, view, pitch)


def _pitch(options: Options, lifter: Lifter, people: list[LiftedTrack]) -> float:
    """How far down the camera looks, degrees; a bare --up is NaN."""
    if not body.is_human(lifter.skeleton):
        return options.up or 0.0
    if options.up is None or (np.isnan(options.up) and lifter.normalization == 'person'):
        return camera_pitch([lifted.positions for lifted in people])
    return mean_camera_pitch() if np.isnan(options.up) else options.up


def _view_of(track: Track, view: CameraView) -> CameraView:
    """The view of a photograph with a size of its own, or the view of all."""
    return replace(view, size=track.size, focal=default_focal(track.size)) if track.size else view


def frame_rate(video: VideoFrames) -> float | None:
    """The mean frame rate of a video; None if it has no duration."""
    return video.count / video.seconds if video.seconds > 0 else None


def _check_output(options: Options) -> None:
    if options.output:
        check_suffix(options.output, lift_output.SUFFIXES, '--output')
    if options.bvh:
        check_suffix(options.bvh, ('.bvh',), '--bvh')
    if options.render:
        check_suffix(options.render, animation.SUFFIXES, '--render')
        animation.check_packages(options.render)
        check_size(options.viz_size)


def _check_own(options: Options, lifter: Lifter) -> None:
    """Refuse options that need a human body if the checkpoint lifts another skeleton."""
    needs = {'a --video without --input': not options.input, '--bvh': options.bvh, '--height': options.height,
             '--up without a number': options.up != options.up, '--axes yx': options.axes == 'yx',
             f'--layout {options.layout}': options.layout not in (None, OWN)}
    if wrong := [flag for flag, given in needs.items() if given]:
        raise UserError(f'{wrong[0]} is for checkpoints of the 16 joints, and {lifter.path} lifts joints of its own: '
                        f'{listing(lifter.skeleton.names, 40)}.')


def _own_layout(options: Options, lifter: Lifter, detections: Detections) -> Layout:
    """The layout of a checkpoint's own joints, which the file names or `--layout own` states.

    Raises:
        UserError: neither does, or the file has another number of joints.
    """
    names = lifter.skeleton.names
    if OWN not in (detections.layout, options.layout) or detections.joints != len(names):
        raise UserError(f'{detections.path} has {detections.joints} joints without names; {lifter.path} lifts its own '
                        f'{len(names)}, and with --layout {OWN} they are taken in this order: {listing(names, 40)}.')
    print('Its joints are its own: swapped sides, standing feet and what is human are not looked for.')
    return own_layout(names)


def _detections(options: Options, video: VideoFrames | None, own: tuple[str, ...]) -> Detections:
    if options.input:
        return read_detections(options.input, options.format, options.sequence, options.photos, own)
    assert video is not None and options.video is not None
    return detect(options.video, make_detector(options.detector), video)


def _size(options: Options, detections: Detections, video: VideoFrames | None) -> tuple[int, int]:
    if detections.sizes and not options.size:
        return max(detections.sizes.values())  # each picture has its own size, see `_view_of`
    known = {'--size': options.size, detections.path: detections.size, options.video or '': video and video.size}
    given = {where: size for where, size in known.items() if size}
    if not given:
        raise UserError(f'{detections.path} does not have the size of the image: give --size WxH, or the --video.')
    if len(set(given.values())) > 1:
        sizes = ', '.join(f'{where}: {width}x{height}' for where, (width, height) in given.items())
        warn(f'the sizes of the image differ ({sizes}); the first is taken.')
    return next(iter(given.values()))


def _introduce(lifter: Lifter, detections: Detections, layout: Layout, size: tuple[int, int],
               notes: list[str]) -> None:
    """Print what was recognised and what is assumed."""
    frames = 'photographs' if detections.photos else 'frames'
    of = 'several sizes' if detections.sizes else f'{size[0]}x{size[1]}'
    print(f'{detections.path}: {detections.format}, layout {layout.name}, {len(detections.people):,} {frames} of {of}')
    if layout.more:
        print(f'Of its {layout.joints} joints the first {layout.joints - layout.more} are used.')
    if layout.approximate:
        print(f'{layout.name} has no {", ".join(layout.approximate)} of its own: approximated from the joints around.')
    print(f'{lifter.path}: {lifter.description}, {lifter.training()}.')
    if lifter.trained_on == 'sh' and layout.spine_sh is None and layout.name not in ('h36m16', 'h36m17', OWN):
        warn(f'models trained on Stacked Hourglass detections want thorax and upper neck for Spine and Thorax, which '
             f'{layout.name} does not have: a model trained on ground truth fits it better.')
    for note in notes:
        warn(note)


def _lift(options: Options, lifter: Lifter, track: Track, view: CameraView, detections: Detections) -> LiftedTrack:
    """Complete, lift and smooth a track."""
    human = body.is_human(lifter.skeleton)
    if human:
        framing.mark_guessed(track, view.size, detections.scored)
        drop_outliers(track, view.rate / track.step)
    tracking.fill_gaps(track, options.max_gap)
    if human and options.fix_swaps:
        fix_swaps(track)
    anywhere = lifter.normalization == 'person'  # place and size in the image do not matter
    far_off = [] if anywhere else framing.far_off(normalize_screen(track.keypoints, *view.size), lifter.range)
    framed = anywhere or (bool(far_off) if options.center_crop is None else options.center_crop)
    seen = np.where(track.hidden[..., None], np.nan, track.keypoints) if lifter.guesses else track.keypoints
    positions, guessed = lifter.lift_track(seen, view, framed)
    cutoff = options.smooth_cutoff if options.smooth else None
    lifted = stabilise(track, positions, guessed, view, cutoff, options.height, lifter.skeleton)
    if detections.photos:
        return lifted
    count, filled = np.isfinite(positions[:, 0, 0]).sum(), track.interpolated.any(1).sum()
    print(f'track {track.name}: frames {track.frames[0]} to {track.frames[-1]}, {count:,} of {len(track.frames):,} '
          f'lifted' + (f', joints interpolated in {filled:,}' if filled else '')
          + (f', joints guessed in {guessed.any(1).sum():,}' if guessed.any() else ''))
    legs, arms = track.swapped.sum(0)
    if legs or arms:
        warn(f'track {track.name}: left and right were swapped in {legs} frames of the legs and {arms} of the '
             f'arms, of {len(track.frames)}, and were exchanged; --no_fix_swaps leaves them.')
    for sentence in [*framing.framing_warnings(far_off, view.size, framed, options.center_crop),
                     *framing.track_warnings(track, view.size, np.isfinite(positions[:, 0, 0]), lifter.skeleton),
                     *(not_human(track.keypoints, positions[~guessed.any(1)]) if human else ())]:
        warn(f'track {track.name}: {sentence}')
    return lifted


def _report_photos(detections: Detections, people: list[LiftedTrack]) -> None:
    lifted = sum(bool(np.isfinite(person.positions).any()) for person in people)
    print(f'{len(people):,} people of {len(detections.people):,} photographs, {lifted:,} lifted, each by itself')
    if lifted < len(people):
        warn(f'{len(people) - lifted} people lack joints and stay empty; of all, missing: '
             f'{framing.missing_joints([person.track for person in people], people[0].skeleton)}.')


def _write(options: Options, lifter: Lifter, people: list[LiftedTrack], view: CameraView, pitch: float) -> None:
    several = len(people) > 1
    written = []
    asked = None if options.up is None else pitch
    for lifted in people:
        if options.output:
            path = lift_output.path_of(options.output, lifted.track, several)
            lift_output.write(path, lifted.entries(_view_of(lifted.track, view), lifter.path, asked))
            written.append(path)
        if options.bvh and np.isfinite(lifted.positions).any():
            path = lift_output.path_of(options.bvh, lifted.track, several)
            x, y, z = np.moveaxis(in_room(lifted, pitch), -1, 0)
            between = write_bvh(path, np.stack([x, z, -y], axis=-1), view.rate / lifted.track.step)
            written.append(path)
            if between:
                warn(f'{path}: {between} frames without a pose are interpolated.')
    if options.output:
        print(f'positions_3d: {lift_output.units_text(lifter.skeleton)}, {lift_output.axes_text(asked)}.')
    if written:
        print(f'Written: {listing(written, 8)}')


def _render(options: Options, people: list[LiftedTrack], view: CameraView, pitch: float) -> None:
    assert options.render is not None
    clip, first, step = make_clip(people, view, pitch, os.path.basename(options.input or options.video or ''))
    video = VideoFrames(options.video, first=first, step=step) if options.video else None
    animation.render(clip, options.render, options.viz_size, video=video)
    print(f'Written: {options.render}')
