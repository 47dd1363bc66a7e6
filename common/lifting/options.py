"""The options of predict.py: names, types, defaults and help of its flags stand here alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from common import argument_types
from common.flags import flag
from common.geometry.detector_layouts import LAYOUTS, OWN, TRAINED_ON
from common.lifting.detectors.detector import DETECTORS
from common.lifting.formats import FORMATS
from common.lifting.motion.smoothing import CUTOFF
from common.lifting.orientation import AXES


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The people of a file or a video."""

    input: str | None = flag(None, 'file or folder of a 2D detector; without it, people are found in the --video',
                             metavar='PATH')
    video: str | None = flag(None, 'gives size and frame rate, and is drawn under --render', metavar='FILE')
    size: tuple[int, int] | None = flag(None, 'size of the image, where the file does not have it',
                                        type=argument_types.image_size, metavar='WxH')
    layout: str | None = flag(None, 'joints of the file, like coco17 (default: recognised; a wrong name lists all)',
                              choices=[*LAYOUTS, OWN], metavar='NAME')
    person: str = flag('all', 'which people to lift', metavar='best|all|ID')
    format: str | None = flag(None, f'format of the file (default: recognised): {", ".join(FORMATS)}',
                              choices=list(FORMATS), metavar='NAME', more=True)
    sequence: str | None = flag(None, 'one sequence of a file that holds several (VideoPose3D, PoseTrack), or all',
                                metavar='NAME|all', more=True)
    photos: bool | None = flag(None, 'whether frames are single photographs, in which nobody is followed (default: '
                                     'auto, recognised)', type=argument_types.auto_yes_no, metavar='auto|yes|no',
                               more=True)
    axes: str | None = flag(None, 'order of the coordinates, or what is turned back: a mirrored picture, y upwards '
                                  '(default: recognised)', choices=AXES, more=True)
    fps: float | None = flag(None, "frames a second (default: the video's, the file's, or 30)",
                             type=argument_types.positive_float, metavar='N', more=True)
    detector: str | None = flag(None, 'finds the people in a video without --input (default: the first that is '
                                      'installed)', choices=list(DETECTORS), more=True)


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """The lifting, and the body that comes out."""

    up: float | None = flag(None, 'turn upright (z up) for a camera that looks down by so many degrees (without a '
                                  'number: measured on people who stand)', nargs='?',
                            const=math.nan, type=argument_types.pitch, metavar='DEGREES')
    height: float | None = flag(None, 'height of the people, which sets their scale (default: as lifted)',
                                type=argument_types.positive_float, metavar='METRES')
    smooth: bool = flag(True, 'leave every frame as it is lifted, bone lengths too',
                        names=['--no_smooth'])
    smooth_cutoff: float = flag(CUTOFF, 'frequency above which motion is smoothed away',
                                type=argument_types.positive_float, metavar='HZ', more=True)
    min_score: float = flag(0.1, 'joints of a lower score count as missing', type=argument_types.probability,
                            metavar='S', more=True)
    max_gap: int = flag(10, 'longest gap of a joint that is interpolated, frames',
                        type=argument_types.non_negative_int, metavar='N', more=True)
    fix_swaps: bool = flag(True, 'keep left and right, even where they seem swapped for a while',
                           names=['--no_fix_swaps'], more=True)
    center_crop: bool | None = flag(None, 're-frame each person as the training cameras would (default: auto, people '
                                          'who are far from it)', type=argument_types.auto_yes_no,
                                    metavar='auto|yes|no', more=True)
    focal: float | None = flag(None, 'focal length of the camera (default: the diagonal of the image)',
                               type=argument_types.positive_float, metavar='PIXELS', more=True)

    @property
    def cutoff(self) -> float | None:
        """Hz of the smoothing; None leaves every frame as it is lifted."""
        return self.smooth_cutoff if self.smooth else None


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The files to write; of several people, NAME_<track>.npz each."""

    output: str | None = flag(None, 'positions: .npz, .json, .csv, .trc (biomechanics) or .bvh (animation)',
                              metavar='OUT.npz')
    bvh: str | None = flag(None, 'motion for animation programs', metavar='OUT.bvh')
    bvh_names: str = flag('animation', "names of a BVH's joints: of animation programs (Hips, LeftArm), or the own",
                          choices=('animation', 'own'), more=True)
    render: str | None = flag(None, 'a picture of the people: .gif, .mp4, .html or .png', metavar='OUT.mp4')
    viz_size: float = flag(5.0, 'side of a panel of --render, in 100 pixels', type=argument_types.positive_float,
                           metavar='N', more=True)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The checkpoint, and where it runs."""

    checkpoint: str | None = flag(None, 'the model (default: the pretrained weights)', metavar='FILE')
    trained_on: str | None = flag(None, '2D that the model was trained on, ground truth or Stacked Hourglass '
                                        'detections, for checkpoints that do not record it (default: gt)',
                                  choices=TRAINED_ON, more=True)
    device: str = flag('auto', 'auto, cpu, cuda, cuda:N or mps', type=argument_types.device_name, metavar='DEVICE',
                       more=True)


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, MotionOptions, InputOptions, ModelOptions):
    """All options of a run, named as their flags."""
