"""A run of predict.py: detections, people over time, completed 2D, lifted, one steady body, written, drawn."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.errors import UserError, listing, warn
from common.files.atomic import check_suffix
from common.geometry.camera import default_focal, normalize_screen
from common.geometry.detector_layouts import Layout
from common.lifting import messages, writers
from common.lifting.anatomy import Anatomy
from common.lifting.detections import read_detections, sequence_names
from common.lifting.detectors.detector import detect, make_detector
from common.lifting.formats.people import Detections
from common.lifting.lift_output import LiftedTrack
from common.lifting.lifter import Lifter
from common.lifting.motion.root import CameraView
from common.lifting.motion.stabilise import stabilise
from common.lifting.options import InputOptions, MotionOptions, Options, OutputOptions
from common.lifting.placing import clip_of_people
from common.lifting.tracks import framing, tracking
from common.lifting.tracks.tracking import Track
from common.malloc import return_freed_memory
from common.progress import announced, progress_bar
from common.rendering.video import VideoFrames

_LOST = 15  # frames after which a person without identifier counts as a new one, unless --max_gap is longer


def run(options: Options) -> None:
    """Read, lift, report and write, every sequence of the file if all are asked for.

    Raises:
        UserError: it cannot be done.
    """
    _check_outputs(options)
    if options.sequence != 'all':
        predict_people(options)
        return
    names = sequence_names(options.input, options.format) if options.input else []
    if len(names) <= 1:
        predict_people(replace(options, sequence=None))
        return
    for name in names:
        print(f'Sequence {name}')
        end = '_' + re.sub(r'[^\w.-]+', '_', name)
        output, bvh, render = (path and writers.with_end(path, end)
                               for path in (options.output, options.bvh, options.render))
        predict_people(replace(options, sequence=name, output=output, bvh=bvh, render=render))


def predict_people(options: Options) -> None:
    """The steps of a prediction, for one sequence."""
    lifter = Lifter(options.checkpoint, options.device, options.trained_on)
    lifter.anatomy.check(options, lifter.path)
    video = VideoFrames(options.video) if options.video else None

    detections, layout, view = find_people(options, lifter, video, options.focal)
    tracks = follow_people(detections, layout, lifter.trained_on, options)
    scored = detections.scored
    detections = replace(detections, people={frame: [] for frame in detections.people})  # the tracks have them
    return_freed_memory()
    with announced('completing the keypoints'):
        for track in tracks:
            complete_2d(track, view.of_picture(track.size), scored, lifter.anatomy, options)
    people = []
    for track in tracks:
        picture = view.of_picture(track.size)
        lifted, warnings = lift(track, picture, lifter, options.center_crop)
        with announced('smoothing'):
            people.append(stabilise(lifted, picture, options.cutoff, options.height))
        if not detections.photos:
            messages.print_track(people[-1])
            for sentence in warnings:
                warn(f'track {track.name}: {sentence}')
    if detections.photos:
        messages.print_photos(detections, people)
    if not any(np.isfinite(lifted.positions).any() for lifted in people):
        raise UserError(f'{detections.path}: no frame has all the joints that a pose needs. Missing: '
                        f'{framing.share_of_missing(tracks, lifter.skeleton)} of the frames; a lower --min_score or a '
                        f'higher --max_gap lets more of them count.')
    messages.print_assumptions(view, detections.photos, options.focal)

    pitch = lifter.anatomy.camera_pitch(options.up, [lifted.positions for lifted in people],
                                        lifter.normalization == 'person')
    write_people(people, view, pitch, lifter.path, options, options.up is not None)
    if options.render:
        draw_people(people, view, pitch, detections.photos, options)


def find_people(options: InputOptions, lifter: Lifter, video: VideoFrames | None,
                focal: float | None) -> tuple[Detections, Layout, CameraView]:
    """Read the people of all frames, or find them in the video: in pixels, with their layout and the camera's view."""
    if options.input:
        with announced(f'reading {options.input}'):
            detections = read_detections(options.input, options.format, options.sequence, options.photos,
                                         lifter.anatomy.file_joints)
    else:
        assert video is not None and options.video is not None
        detections = detect(options.video, make_detector(options.detector), video)
    size = _image_size(options, detections, video)
    notes: list[str | None] = []
    if video and options.input:
        detections, counted = detections.counted_as(video.count)
        notes.append(counted)
    detections, scaled = detections.scaled(size)
    detections, layout, decisions = lifter.anatomy.infer_layout(detections, options, lifter.path)
    fps = options.fps or (mean_frame_rate(video) if video else detections.fps)
    view = CameraView(size, focal or default_focal(size), fps)
    messages.print_input(detections, layout, view, lifter)
    for note in filter(None, [*notes, scaled, *decisions]):
        warn(note)
    return detections, layout, view


def follow_people(detections: Detections, layout: Layout, trained_on: str, options: Options) -> list[Track]:
    """The chosen people, each through all of its frames."""
    tracks = tracking.make_tracks(detections, layout, trained_on, options.min_score, max(_LOST, options.max_gap))
    if not tracks:
        raise UserError(f'{detections.path}: no joint has a score of --min_score {options.min_score:g} or more.')
    return tracking.choose(tracks, options.person, detections.path)


def complete_2d(track: Track, view: CameraView, scored: bool, anatomy: Anatomy, options: MotionOptions) -> None:
    """Remove joints that were guessed or thrown far away, fill gaps, and exchange left and right that are swapped."""
    anatomy.drop_guesses(track, view.size, view.rate / track.step, scored)
    tracking.fill_gaps(track, options.max_gap)
    if options.fix_swaps:
        anatomy.fix_swaps(track)


def lift(track: Track, view: CameraView, lifter: Lifter,
         center_crop: bool | None) -> tuple[LiftedTrack, list[str]]:
    """Lift each frame of a person. Returns the poses, and warnings about them.

    Args:
        center_crop: re-frame the person; None: if the person is where no training pose was.
    """
    unusual, crop = [], bool(center_crop)
    if lifter.normalization == 'image':  # otherwise place and size in the image do not matter
        unusual = framing.far_off(normalize_screen(track.keypoints, *view.size), lifter.range)
        crop = bool(unusual) if center_crop is None else center_crop
    visible = np.where(track.hidden[..., None], np.nan, track.keypoints) if lifter.guesses else track.keypoints
    with progress_bar('lifting', len(visible)) as bar:
        positions, guessed = lifter.lift_track(visible, view, crop, report=bar.update)
    posed, whole = np.isfinite(positions).all((1, 2)), positions.copy()
    whole[guessed.any(1)] = np.nan
    lifted = LiftedTrack(track, positions, np.full((len(positions), 3), np.nan), guessed,
                         np.zeros((len(positions), 2), bool), lifter.skeleton)
    anatomy = lifter.anatomy
    warnings = [*anatomy.missing_parts(track, posed),
                *framing.misplaced_joints(track, view.size, lifter.skeleton),
                *anatomy.implausible(track.keypoints, whole, view)]
    if lifter.normalization == 'image':
        warnings = framing.framing_warnings(unusual, view.size, crop, center_crop) + warnings
    return lifted, warnings


def write_people(people: Sequence[LiftedTrack], view: CameraView, pitch: float, checkpoint: str,
                 options: OutputOptions, upright: bool) -> None:
    """Write the files of each person."""
    several, written = len(people) > 1, []
    scene = writers.Scene(checkpoint, pitch, upright, options.bvh_names)
    for lifted in people:
        for asked in filter(None, (options.output, options.bvh)):
            if writers.has_content(asked, lifted):
                written.append(writers.path_of(asked, lifted.track, several))
                for sentence in writers.write(written[-1], lifted, view.of_picture(lifted.track.size), scene):
                    warn(sentence)
    if options.output:
        print(writers.meaning(options.output, people[0].skeleton, scene))
    if written:
        print(f'Written: {listing(written, 8)}')


def draw_people(people: Sequence[LiftedTrack], view: CameraView, pitch: float, photos: bool, options: Options) -> None:
    """Draw all people in one scene, over the frames of the video; photographs become consecutive frames."""
    from common.rendering import animation  # matplotlib is loaded only for pictures
    assert options.render is not None
    if photos:
        people = [replace(lifted, track=replace(lifted.track, frames=np.array([place])))
                  for place, lifted in enumerate(people)]
    clip, first, step = clip_of_people(people, view, pitch, os.path.basename(options.input or options.video or ''))
    video = VideoFrames(options.video, first=first, step=step) if options.video else None
    animation.render(clip, options.render, options.viz_size, video=video)
    print(f'Written: {options.render}')


def mean_frame_rate(video: VideoFrames) -> float | None:
    """The mean frame rate of a video; None if it has no duration."""
    return video.count / video.seconds if video.seconds > 0 else None


def _check_outputs(options: OutputOptions) -> None:
    if options.output:
        check_suffix(options.output, writers.SUFFIXES, '--output')
    if options.bvh:
        check_suffix(options.bvh, ('.bvh',), '--bvh')
    if options.render:
        from common.rendering import animation, visualization
        check_suffix(options.render, animation.SUFFIXES, '--render')
        animation.check_packages(options.render)
        visualization.check_size(options.viz_size)


def _image_size(options: InputOptions, detections: Detections, video: VideoFrames | None) -> tuple[int, int]:
    if detections.sizes and not options.size:
        return max(detections.sizes.values())  # each picture has its own size, see `CameraView.of_picture`
    known = {'--size': options.size, detections.path: detections.size, options.video or '': video and video.size}
    given = {where: size for where, size in known.items() if size}
    if not given:
        raise UserError(f'{detections.path} does not have the size of the image: give --size WxH, or the --video.')
    if len(set(given.values())) > 1:
        sizes = ', '.join(f'{where}: {width}x{height}' for where, (width, height) in given.items())
        warn(f'the sizes of the image differ ({sizes}); the first is taken.')
    return next(iter(given.values()))
