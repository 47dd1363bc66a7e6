"""Lift your own 2D keypoints, or a video, to 3D.

    python predict.py --video clip.mp4 --render out.mp4 --bvh out.bvh
    python predict.py --input detections.json --size 1920x1080 --output out.npz
    python predict.py --input openpose_folder --video clip.mp4 --output out.npz --render out.mp4
    python predict.py --input keypoints.npy --layout coco17 --size 1000x1000 --output out.json --up
    python predict.py --checkpoint CKPT --input detections.json --size 1920x1080 --output out.npz

From Python: `from predict import Lifter; positions = Lifter()(keypoints, (width, height), 'coco17')`.
docs/predict.md lists the commands of each detector.
"""

import argparse
import math
import re
from typing import Any

from common.argument_types import device_name, non_negative_int, positive_float, probability
from common.arguments import resolve_device
from common.errors import UserError, run_script, warn
from common.geometry.detector_layouts import LAYOUTS, OWN, TRAINED_ON
from common.lifting.detectors.detector import DETECTORS
from common.lifting.formats import FORMATS
from common.lifting.lifter import Lifter, mean_camera_pitch
from common.lifting.motion.smoothing import CUTOFF
from common.lifting.prediction import Options, run

__all__ = ['Lifter']


def image_size(text: str) -> tuple[int, int]:
    """(width, height) of text like 1920x1080."""
    found = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)
    if not found:
        raise argparse.ArgumentTypeError(f'{text} is not like 1920x1080')
    return int(found[1]), int(found[2])


def angle(text: str) -> float:
    """Degrees from -90 to 90."""
    value = float(text)
    if not -90 <= value <= 90:
        raise argparse.ArgumentTypeError(f'{text} is not in -90 to 90')
    return value


def get_args_parser(everything: bool = False) -> argparse.ArgumentParser:
    """The parser; its help has the flags that most people need, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        usage='predict.py [--input PATH] [--video FILE] [--output FILE] [--render FILE] [flags]')
    parser.add_argument('--checkpoint', metavar='FILE', help='the model (default: checkpoint/pretrained has it)')
    group = parser.add_argument_group('what comes in')
    group.add_argument('--input', metavar='PATH', help='file or folder of a 2D detector; left out, people are found in '
                                                       'the --video')
    group.add_argument('--video', metavar='FILE', help='gives size and frame rate, and lies under --render')
    group.add_argument('--size', type=image_size, metavar='WxH', help='of the image, where the file does not have it')
    group.add_argument('--layout', choices=[*LAYOUTS, OWN], metavar='NAME',
                       help=f'its joints (default: recognised): {", ".join(LAYOUTS)}, {OWN}')
    group.add_argument('--person', default='all', metavar='best|all|ID', help='whom to lift (default: all)')
    group = parser.add_argument_group('what goes out (one of them at least; of several people, NAME_<track>.npz each)')
    group.add_argument('--output', metavar='OUT.npz', help='positions and all that belongs to them: .npz or .json')
    group.add_argument('--bvh', metavar='OUT.bvh', help='motion for animation programs')
    group.add_argument('--render', metavar='OUT.mp4', help='a picture of it: .gif, .mp4, .html or .png')
    group.add_argument('--up', type=angle, nargs='?', const=math.nan, metavar='DEGREES',
                       help='turn upright (x right, y forward, z up) for a camera that looks down by so much (default: '
                            f'measured on people who stand; {mean_camera_pitch():.1f} for models trained on images)')
    group.add_argument('--height', type=positive_float, metavar='METRES',
                       help='height of the people, which sets their scale (default: as lifted)')
    group.add_argument('--no_smooth', dest='smooth', action='store_false',
                       help='leave every frame as it is lifted: not smoothed, bone lengths not constant')
    parser.add_argument('--help_all', action=HelpAll, nargs=0, default=argparse.SUPPRESS, help='show all flags')
    _add_more(parser, everything)
    return parser


class HelpAll(argparse.Action):
    """Prints the help of all flags and stops."""

    def __call__(self, *_: Any) -> None:
        get_args_parser(everything=True).print_help()
        raise SystemExit


def _add_more(parser: argparse.ArgumentParser, shown: bool) -> None:
    """The flags for special cases."""
    group = parser.add_argument_group('more about what comes in') if shown else parser

    def add(*flags: str, help: str, **how: Any) -> None:
        group.add_argument(*flags, help=help if shown else argparse.SUPPRESS, **how)

    add('--format', choices=list(FORMATS), metavar='NAME',
        help=f'what wrote the file (default: recognised): {", ".join(FORMATS)}')
    add('--sequence', metavar='NAME|all', help='which, of a file that holds several (VideoPose3D, PoseTrack)')
    add('--photos', action='store_const', const=True,
        help='frames are single photographs: nobody is followed from one to the next (default: recognised)')
    add('--no_photos', dest='photos', action='store_const', const=False, help='frames belong to a video')
    add('--axes', choices=('xy', 'yx'), help='order of the coordinates (default: recognised)')
    add('--fps', type=positive_float, metavar='N', help="frames a second (default: the video's, the file's, or 30)")
    add('--detector', choices=list(DETECTORS),
        help='what finds people in a video without --input (default: the first that is installed)')
    add('--trained_on', choices=TRAINED_ON, help='what the model was trained on, ground truth or Stacked Hourglass '
        'detections, for checkpoints that do not record it (default: gt)')
    group = parser.add_argument_group('more about what is done with it') if shown else parser
    add('--min_score', type=probability, default=0.1, metavar='S',
        help='joints of a lower score count as missing (default: 0.1)')
    add('--max_gap', type=non_negative_int, default=10, metavar='N',
        help='longest gap of a joint that is interpolated, frames (default: 10)')
    add('--no_fix_swaps', '--no_mend', dest='fix_swaps', action='store_false',
        help='leave left and right as they are, even where they seem swapped for a while')
    add('--center_crop', action='store_const', const=True,
        help='re-frame each person as the training cameras would (default: those who are far from it)')
    add('--no_center_crop', dest='center_crop', action='store_const', const=False, help='re-frame nobody')
    add('--focal', type=positive_float, metavar='PIXELS',
        help='focal length of the camera (default: the diagonal of the image)')
    add('--smooth_cutoff', type=positive_float, default=CUTOFF, metavar='HZ',
        help=f'frequency above which motion is smoothed away (default: {CUTOFF:g})')
    parser.add_argument('--smooth', dest='smooth', action='store_true', help=argparse.SUPPRESS)  # the default
    parser.add_argument('--smooth_beta', type=positive_float, help=argparse.SUPPRESS)  # of the One-Euro filter
    add('--viz_size', type=positive_float, default=5, metavar='N',
        help='side of a panel of --render, in 100 pixels (default: 5)')
    parser.add_argument('--device', type=device_name, default='auto', metavar='DEVICE',
                        help='auto, cpu, cuda, cuda:N or mps (default: auto)')
    parser.add_argument('--num_workers', type=int, help=argparse.SUPPRESS)


def main() -> None:
    args = vars(get_args_parser().parse_args())
    del args['num_workers']
    if args.pop('smooth_beta'):
        warn('--smooth_beta has no effect: clips are smoothed without lag; the One-Euro filter is for live poses '
             '(Lifter.live).')
    if not (args['output'] or args['bvh'] or args['render']):
        raise UserError('nothing is asked for: give --output, --bvh or --render.')
    if not (args['input'] or args['video']):
        raise UserError('there is nothing to lift: give --input, or a --video to find people in.')
    run(Options(**{**args, 'device': resolve_device(args['device'])}))


if __name__ == '__main__':
    run_script(main)
