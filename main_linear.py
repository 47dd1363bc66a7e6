"""Train, resume or evaluate the fully connected baseline of Martinez et al., ICCV 2017.

    python main_linear.py --dataset demo -e 5
    python main_linear.py --keypoints gt
    python main_linear.py --keypoints sh_ft_h36m
    python main_linear.py --evaluate checkpoint/pretrained/ckpt_linear.pth.tar
    python main_linear.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
    python main_linear.py --init checkpoint/pretrained/ckpt_linear.pth.tar --dataset cmu
"""

from common.errors import run_script
from common.flags import Parser
from common.training.arguments import training_parser
from common.training.run import run


def get_args_parser() -> Parser:
    return training_parser(__doc__, epochs=200, snapshot=10)


def main() -> None:
    run(get_args_parser(), 'linear')


if __name__ == '__main__':
    run_script(main)
