"""Lift your own 2D keypoints, or a video, to 3D.

    python predict.py --checkpoint CKPT --input alphapose-results.json --size 1920x1080 --output out.npz
    python predict.py --checkpoint CKPT --input openpose_folder --video clip.mp4 --output out.npz --render out.mp4
    python predict.py --checkpoint CKPT --video clip.mp4 --render out.mp4 --bvh out.bvh
    python predict.py --checkpoint CKPT --input keypoints.npy --layout coco17 --size 1000x1000 --output out.json --up

From Python: `from predict import Lifter; positions = Lifter(CKPT)(keypoints, (width, height), 'coco17')`.
docs/predict.md lists the commands of each detector.
"""

import argparse
import re
from typing import Any

from common.argument_types import non_negative_int, positive_float, probability
from common.arguments import add_run_flags, resolve_device
from common.errors import UserError, run_script
from common.lifting.detectors.detector import DETECTORS
from common.lifting.formats import FORMATS
from common.lifting.layouts import LAYOUTS, TRAINED_ON
from common.lifting.lifter import Lifter, usual_pitch
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


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument('--checkpoint', metavar='FILE', help='the model (default: checkpoint/pretrained has it)')
    _input_flags(parser.add_argument_group('what comes in'))
    _treatment_flags(parser.add_argument_group('what is done with it'))
    group = parser.add_argument_group('what goes out (one of them at least; of several people, NAME_<track>.npz each)')
    group.add_argument('--output', metavar='OUT.npz', help='positions and all that belongs to them: .npz or .json')
    group.add_argument('--bvh', metavar='OUT.bvh', help='motion for animation programs')
    group.add_argument('--render', metavar='OUT.mp4', help='a picture of it: .gif, .mp4, .html or .png')
    group.add_argument('--viz_size', type=positive_float, default=5, metavar='N',
                       help='side of a panel of --render, in 100 pixels (default: 5)')
    add_run_flags(parser)
    return parser


def _input_flags(group: Any) -> None:
    group.add_argument('--input', metavar='PATH', help='file or folder of a 2D detector; left out, people are found in '
                                                       'the --video')
    group.add_argument('--format', choices=list(FORMATS), help='what wrote it (default: recognised)')
    group.add_argument('--layout', choices=list(LAYOUTS), help='its joints (default: recognised)')
    group.add_argument('--sequence', metavar='NAME', help='which, of a VideoPose3D file that holds several')
    group.add_argument('--size', type=image_size, metavar='WxH', help='of the image, where the file does not have it')
    group.add_argument('--video', metavar='FILE', help='gives the size and the frame rate, and lies under --render')
    group.add_argument('--fps', type=positive_float, metavar='N', help="frames a second (default: the video's, or 30)")
    group.add_argument('--detector', choices=list(DETECTORS),
                       help='what finds people in a video without --input (default: the first that is installed)')
    group.add_argument('--trained_on', choices=TRAINED_ON, help='what the model was trained on, ground truth or '
                       'Stacked Hourglass detections, for checkpoints that do not record it (default: gt)')


def _treatment_flags(group: Any) -> None:
    group.add_argument('--person', default='all', metavar='best|all|ID', help='whom to lift (default: all)')
    group.add_argument('--min_score', type=probability, default=0.1, metavar='S',
                       help='joints of a lower score count as missing (default: 0.1)')
    group.add_argument('--max_gap', type=non_negative_int, default=10, metavar='N',
                       help='longest gap of a joint that is interpolated, frames (default: 10)')
    group.add_argument('--no_fix_swaps', '--no_mend', dest='fix_swaps', action='store_false',
                       help='leave left and right as they are, even where they seem swapped for a while')
    group.add_argument('--center_crop', action='store_true',
                       help='re-frame each person as the training cameras would')
    group.add_argument('--up', type=angle, nargs='?', const=usual_pitch(), metavar='DEGREES',
                       help='turn upright (x right, y forward, z up) for a camera that looks down by so much (default: '
                            f"{usual_pitch():.1f}, the mean of Human3.6M's)")
    group.add_argument('--focal', type=positive_float, metavar='PIXELS',
                       help='focal length of the camera (default: the diagonal of the image)')
    group.add_argument('--height', type=positive_float, metavar='METRES',
                       help='height of the people, which sets their scale (default: as lifted)')
    group.add_argument('--no_smooth', dest='smooth', action='store_false',
                       help='leave every frame as it is lifted: not smoothed, bone lengths not constant')
    group.add_argument('--smooth', dest='smooth', action='store_true', help=argparse.SUPPRESS)  # the default
    group.add_argument('--smooth_cutoff', type=positive_float, default=CUTOFF, metavar='HZ',
                       help=f'frequency above which motion is smoothed away (default: {CUTOFF:g})')


def main() -> None:
    args = vars(get_args_parser().parse_args())
    del args['num_workers']
    if not (args['output'] or args['bvh'] or args['render']):
        raise UserError('nothing is asked for: give --output, --bvh or --render.')
    if not (args['input'] or args['video']):
        raise UserError('there is nothing to lift: give --input, or a --video to find people in.')
    run(Options(**{**args, 'device': resolve_device(args['device'])}))


if __name__ == '__main__':
    run_script(main)
