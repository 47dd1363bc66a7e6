"""Train, resume or evaluate a semantic graph convolutional network (SemGCN; Zhao et al., CVPR 2019).

    python main_gcn.py --dataset demo --non_local -e 5
    python main_gcn.py --keypoints gt
    python main_gcn.py --keypoints sh_ft_h36m --non_local -e 100
    python main_gcn.py --evaluate checkpoint/pretrained/ckpt_semgcn.pth.tar
    python main_gcn.py --resume checkpoint/2026-11-22T101500/ckpt_last.pth.tar
    python main_gcn.py --init checkpoint/pretrained/ckpt_semgcn.pth.tar --dataset cmu
"""

from argparse import ArgumentParser

import torch

from common import distributed, trainer_arguments
from common.arguments import add_network_flags, network_flags, resolve_device
from common.checkpoint import restore_model
from common.datasets.splits import Data
from common.datasets.virtual.samples import VirtualCameras
from common.errors import listing, run_script, warn
from common.evaluation.scoring import evaluate_checkpoint, load
from common.malloc import keep_freed_memory
from common.training.initialise import initialise_from
from common.training.resume import resume
from common.training.trainer import Trainer
from data.prepare_data_demo import make_if_missing
from models.config import build_model


def get_args_parser() -> ArgumentParser:
    parser = trainer_arguments.trainer_parser(__doc__, epochs=100, snapshot=5)
    add_network_flags(parser)
    return parser


def main() -> None:
    args = trainer_arguments.parse_args(get_args_parser(), 'gcn')
    keep_freed_memory()
    device = distributed.start(resolve_device(args.device))

    path = args.evaluate or args.resume or args.init
    checkpoint = load(path, 'gcn', {} if args.init else network_flags(args.typed)) if path else None
    if checkpoint and args.resume:
        trainer_arguments.take_flags_from(checkpoint, path, args)
    if checkpoint and args.init:
        trainer_arguments.take_network_from(checkpoint, path, args)

    make_if_missing(args.dataset, args.data_dir)
    data = Data(trainer_arguments.data_options(args))

    if checkpoint and args.evaluate:
        model = restore_model(checkpoint, path, data.skeleton).to(device)
        virtual = VirtualCameras(pitch=args.pitch, detector_noise=args.detector_noise) if args.virtual else None
        evaluate_checkpoint(model, checkpoint, path, data, device, args.report, args.tta, args.by, args.predictions,
                            virtual)
        return

    torch.manual_seed(args.seed)
    if checkpoint and args.resume:
        config = checkpoint.config
        model = restore_model(checkpoint, path, data.skeleton, averaged=False)
    else:  # a checkpoint here is --init's
        config = trainer_arguments.model_config('gcn', args)
        model = build_model(config, data.skeleton)
        if checkpoint and (missed := initialise_from(model, checkpoint, path, data.skeleton)):
            warn(f'{path} lacks some weights, which start at random: {listing(missed)}.')

    recipe, output = trainer_arguments.recipe(args), trainer_arguments.output(args)
    trainer = Trainer(model, config, recipe, data, device, output)
    if checkpoint and args.resume:
        resume(trainer, checkpoint, path)
    trainer.run()


if __name__ == '__main__':
    run_script(main)
