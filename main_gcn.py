"""Train, resume or evaluate a semantic graph convolutional network (SemGCN; Zhao et al., CVPR 2019).

    python main_gcn.py --dataset demo --non_local -e 5
    python main_gcn.py --keypoints gt
    python main_gcn.py --keypoints sh_ft_h36m --non_local -e 100
    python main_gcn.py --evaluate checkpoint/pretrained/ckpt_semgcn.pth.tar
    python main_gcn.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
    python main_gcn.py --init checkpoint/pretrained/ckpt_semgcn.pth.tar --dataset cmu
"""

from common.errors import run_script
from common.flags import Parser
from common.training.arguments import training_parser
from common.training.run import run
from models.config import ModelConfig


def get_args_parser() -> Parser:
    parser = training_parser(__doc__, epochs=100, snapshot=5)
    parser.add_flags('network (read from the file where there is a checkpoint)', ModelConfig,
                     only=('num_layers', 'hid_dim', 'non_local', 'conv', 'dropout'))
    return parser


def main() -> None:
    run(get_args_parser(), 'gcn')


if __name__ == '__main__':
    run_script(main)
