"""Train, resume or evaluate a semantic graph convolutional network (SemGCN; Zhao et al., CVPR 2019).

    python main_gcn.py --dataset demo --non_local -e 5
    python main_gcn.py --keypoints gt
    python main_gcn.py --keypoints sh_ft_h36m --non_local -e 100
    python main_gcn.py --evaluate checkpoint/pretrained/ckpt_semgcn.pth.tar
    python main_gcn.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
"""

from common.arguments import positive_int, probability, run_trainer, trainer_parser
from common.errors import run_script


def get_args_parser():
    parser = trainer_parser(__doc__, epochs=100, snapshot=5)
    group = parser.add_argument_group('network (read from the file with --evaluate and --resume)')
    group.add_argument('-l', '--num_layers', type=positive_int, default=4, metavar='N',
                       help='residual blocks (default: 4)')
    group.add_argument('-z', '--hid_dim', type=positive_int, default=128, metavar='N',
                       help='channels of a joint (default: 128)')
    group.add_argument('--non_local', action='store_true', help='add non-local blocks')
    group.add_argument('--conv', choices=['sem', 'semch'], default='sem',
                       help='semantic convolution with edge weights shared by all channels, or for each channel '
                            '(default: sem)')
    group.add_argument('--dropout', type=probability, default=0.0, metavar='P',
                       help='dropout after each block (default: 0)')
    return parser


def main():
    run_trainer('gcn', get_args_parser())


if __name__ == '__main__':
    run_script(main)
