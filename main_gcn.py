"""Train, resume or evaluate a semantic graph convolutional network (SemGCN; Zhao et al., CVPR 2019).

    python main_gcn.py --dataset demo --non_local -e 5
    python main_gcn.py --keypoints gt
    python main_gcn.py --keypoints sh_ft_h36m --non_local -e 100
    python main_gcn.py --evaluate checkpoint/pretrained/ckpt_semgcn.pth.tar
    python main_gcn.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
"""

from common.arguments import add_network_flags, run_trainer, trainer_parser
from common.errors import run_script
from data.prepare_data_demo import make_if_missing


def get_args_parser():
    parser = trainer_parser(__doc__, epochs=100, snapshot=5)
    add_network_flags(parser)
    return parser


def main():
    parser = get_args_parser()
    args = parser.parse_args()
    make_if_missing(args.dataset, args.data_dir)
    run_trainer('gcn', parser)


if __name__ == '__main__':
    run_script(main)
