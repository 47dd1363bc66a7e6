"""How far an error moves from step to step, and why: the same weights, looked at in several ways.

    python -m benchmarks.jumps --dataset cmu --downsample 6

SemGCN is trained with the published recipe. After each epoch it is scored every ten steps for a hundred steps, P1 over
test poses:

- `raw`: as published, batch norm with its running statistics;
- `statistics anew`: the same weights, the statistics taken anew from training poses with the weights as they are;
- `centred`: raw, each joint's mean displacement over all test poses taken out (which needs the answers: no method);
- `small rate`: after a hundred further steps with a hundredth of the rate, from the same weights;
- `averaged`: the moving average of the weights, 0.999.

Each as mean and standard deviation over the ten looks.
"""

from __future__ import annotations

import argparse
import copy
import statistics

import torch
from torch import Tensor, nn

from common.argument_types import positive_int
from common.datasets.batches import PoseBatches
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.errors import run_script
from common.evaluation.evaluate import METRES_TO_MM
from common.inference import predict
from common.training.augmentation import Samples
from common.training.recipe import Recipe, set_learning_rate
from common.training.step import TrainingStep
from data.prepare_data_demo import make_if_missing
from models.config import ModelConfig, build_model

LOOKS, APART = 10, 10
TEST_POSES = 2000


def with_statistics_anew(model: nn.Module, keypoints: Tensor) -> nn.Module:
    """A copy whose batch norms have the plain mean over these poses as statistics."""
    model = copy.deepcopy(model).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # a cumulative mean
    with torch.no_grad():
        for batch in keypoints.split(512):
            model(batch)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.jumps', description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dataset', default='demo', help='(default: demo)')
    parser.add_argument('--data_dir', default='data', metavar='DIR', help='(default: data)')
    parser.add_argument('--downsample', type=positive_int, default=1, metavar='N', help='(default: 1)')
    parser.add_argument('--epochs', type=positive_int, default=5, metavar='N', help='(default: 5)')
    args = parser.parse_args()
    make_if_missing(args.dataset, args.data_dir)
    data = Data(DataOptions(args.dataset, data_dir=args.data_dir, downsample=args.downsample))
    train, test = data.train(), data.test()
    some = slice(None, None, max(len(test) // TEST_POSES, 1))
    keypoints, target = test.keypoints[some], test.positions[some]
    several = train.keypoints[::max(len(train) // 4096, 1)]

    torch.manual_seed(0)
    recipe = Recipe(args.epochs, 1, ema=0.999)
    step = TrainingStep(build_model(ModelConfig('gcn'), data.skeleton), recipe, Samples(train, data.skeleton, recipe))
    assert step.average is not None
    batches = PoseBatches(len(train), recipe.batch_size, torch.Generator().manual_seed(0), torch.device('cpu'))

    def displacements(model: nn.Module) -> Tensor:
        found = predict(copy.deepcopy(model), keypoints) - target
        return found * METRES_TO_MM                                                    # (N, J, 3)

    def p1(displaced: Tensor) -> float:
        return displaced.norm(dim=2).mean().item()

    def settled() -> nn.Module:
        again = TrainingStep(copy.deepcopy(step.model).train(), recipe, step.samples)
        again.optimizer.load_state_dict(step.optimizer.state_dict())
        set_learning_rate(again.optimizer, recipe.lr / 100)
        order = torch.Generator().manual_seed(1)
        for batch in torch.randperm(len(train), generator=order).split(recipe.batch_size)[:100]:
            again(batch)
        return again.model

    def looks() -> dict[str, float]:
        raw = displacements(step.model)
        return {'raw': p1(raw), 'statistics anew': p1(displacements(with_statistics_anew(step.model, several))),
                'centred': p1(raw - raw.mean(0)), 'averaged': p1(displacements(step.average.model))}

    print('| after epoch | raw | statistics anew | centred | averaged | small rate, from the last look |')
    print('|---' * 6 + '|')
    for epoch in range(args.epochs):
        for batch in batches.epoch():
            step.model.train()
            step(batch)
        found: list[dict[str, float]] = []
        more = torch.randperm(len(train), generator=torch.Generator().manual_seed(epoch)).split(recipe.batch_size)
        for index, batch in enumerate(more[:LOOKS * APART]):
            step.model.train()
            step(batch)
            if (index + 1) % APART == 0:
                found.append(looks())
        cells = [f'{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}'
                 for values in ([look[name] for look in found] for name in found[0])]
        print(f'| {epoch + 1} | {" | ".join(cells)} | {p1(displacements(settled())):.1f} '
              f'(raw {found[-1]["raw"]:.1f}) |', flush=True)


if __name__ == '__main__':
    run_script(main)
