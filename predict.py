"""Lift your own 2D keypoints, or a video, to 3D.

    python predict.py --video clip.mp4 --render out.mp4 --bvh out.bvh
    python predict.py --input detections.json --size 1920x1080 --output out.npz
    python predict.py --input openpose_folder --video clip.mp4 --output out.npz --render out.mp4
    python predict.py --checkpoint CKPT --input detections.json --size 1920x1080 --output out.npz

From Python: `from predict import Lifter; positions = Lifter()(keypoints, (width, height), 'coco17')`.
docs/predict.md lists the commands of each detector.
"""

from common.arguments import resolve_device
from common.errors import UserError, run_script
from common.flags import Parser, filled
from common.lifting.lifter import Lifter
from common.lifting.options import InputOptions, ModelOptions, MotionOptions, Options, OutputOptions
from common.lifting.prediction import run

__all__ = ['Lifter']


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.usage = 'predict.py [--input PATH] [--video FILE] [--output FILE] [--render FILE] [flags]'
    parser.add_flags('input', InputOptions)
    parser.add_flags('output (at least one; of several people, NAME_<track>.npz each)', OutputOptions)
    parser.add_flags('motion', MotionOptions)
    parser.add_flags('model', ModelOptions)
    return parser


def main() -> None:
    values = vars(get_args_parser().parse_args())
    if not (values['output'] or values['bvh'] or values['render']):
        raise UserError('nothing is asked for: give --output, --bvh or --render.')
    if not (values['input'] or values['video']):
        raise UserError('there is nothing to lift: give --input, or a --video to find people in.')
    run(filled(Options, {**values, 'device': str(resolve_device(values['device']))}))


if __name__ == '__main__':
    run_script(main)
