"""Train, resume or evaluate the fully connected baseline of Martinez et al., ICCV 2017.

    python main_linear.py --dataset demo -e 5
    python main_linear.py --keypoints gt
    python main_linear.py --keypoints sh_ft_h36m
    python main_linear.py --evaluate checkpoint/pretrained/ckpt_linear.pth.tar
    python main_linear.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
"""

from common.arguments import run_trainer, trainer_parser
from common.errors import run_script
from data.prepare_data_demo import make_if_missing


def get_args_parser():
    return trainer_parser(__doc__, epochs=200, snapshot=10)


def main():
    parser = get_args_parser()
    args = parser.parse_args()
    make_if_missing(args.dataset, args.data_dir)
    run_trainer('linear', parser)


if __name__ == '__main__':
    run_script(main)
