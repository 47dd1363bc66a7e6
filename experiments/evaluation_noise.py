"""How much does the test error change from step to step, and why?

    python -m experiments.evaluation_noise --dataset cmu --downsample 6

SemGCN is trained with the published recipe. After each epoch it is evaluated every ten steps for a hundred steps, P1
over test poses. Columns are the mean and standard deviation of the ten evaluations:

- `raw`: as published, batch norm with its running statistics;
- `fresh statistics`: the same weights, batch norm's statistics computed again from training poses;
- `centred`: raw, without each joint's mean displacement over all test poses (an analysis that needs the ground truth);
- `averaged`: the moving average of the weights, 0.999;
- `small rate`: the weights after a hundred further steps with a hundredth of the learning rate.

Conclusions: docs/measurements/accuracy.md.
"""

from __future__ import annotations

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
from common.flags import Parser
from common.inference import predict
from common.training.augmentation import Samples
from common.training.recipe import Recipe
from common.training.step import TrainingStep
from models.config import ModelConfig, build_model

EVALUATIONS, STEPS_APART = 10, 10
TEST_POSES, STATISTICS_POSES = 2000, 4096


def with_fresh_statistics(model: nn.Module, keypoints: Tensor) -> nn.Module:
    """A copy whose batch norm statistics are plain means over these poses."""
    model = copy.deepcopy(model).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # a cumulative mean
    with torch.no_grad():
        for batch in keypoints.split(512):
            model(batch)
    return model


def after_small_steps(step: TrainingStep, poses: int) -> nn.Module:
    """A copy of the network after a hundred further steps with a hundredth of the learning rate."""
    small = TrainingStep(copy.deepcopy(step.model).train(), step.recipe, step.samples)
    small.optimizer.load_state_dict(step.optimizer.state_dict())
    small.optimizer.learning_rate = step.recipe.lr / 100
    order = torch.Generator().manual_seed(1)
    for batch in torch.randperm(poses, generator=order).split(step.recipe.batch_size)[:100]:
        small(batch)
    return small.model


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--dataset', default='demo', help='(default: demo)')
    parser.add_argument('--data_dir', default='data', metavar='DIR', help='(default: data)')
    parser.add_argument('--downsample', type=positive_int, default=1, metavar='N', help='(default: 1)')
    parser.add_argument('--epochs', type=positive_int, default=5, metavar='N', help='(default: 5)')
    args = parser.parse_args()
    data = Data(DataOptions(args.dataset, data_dir=args.data_dir, downsample=args.downsample))
    train, test = data.train(), data.test()
    some = slice(None, None, max(len(test) // TEST_POSES, 1))
    keypoints, target = test.keypoints[some], test.positions[some]
    statistics_keypoints = train.keypoints[::max(len(train) // STATISTICS_POSES, 1)]

    torch.manual_seed(0)
    recipe = Recipe(args.epochs, 1, ema=0.999)
    step = TrainingStep(build_model(ModelConfig('gcn'), data.skeleton), recipe, Samples(train, data.skeleton, recipe))
    average = step.average
    assert average is not None
    batches = PoseBatches(len(train), recipe.batch_size, torch.Generator().manual_seed(0), torch.device('cpu'))

    def displacements(model: nn.Module) -> Tensor:
        return (predict(copy.deepcopy(model), keypoints) - target) * METRES_TO_MM      # (N, J, 3)

    def p1(displaced: Tensor) -> float:
        return displaced.norm(dim=2).mean().item()

    def evaluations() -> dict[str, float]:
        raw = displacements(step.model)
        fresh = displacements(with_fresh_statistics(step.model, statistics_keypoints))
        return {'raw': p1(raw), 'fresh statistics': p1(fresh), 'centred': p1(raw - raw.mean(0)),
                'averaged': p1(displacements(average.model))}

    print('| after epoch | raw | fresh statistics | centred | averaged | small rate, after the last evaluation |')
    print('|---' * 6 + '|')
    for epoch in range(args.epochs):
        for batch in batches.epoch():
            step.model.train()
            step(batch)
        found: list[dict[str, float]] = []
        more = torch.randperm(len(train), generator=torch.Generator().manual_seed(epoch)).split(recipe.batch_size)
        for index, batch in enumerate(more[:EVALUATIONS * STEPS_APART]):
            step.model.train()
            step(batch)
            if (index + 1) % STEPS_APART == 0:
                found.append(evaluations())
        cells = [f'{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}'
                 for values in ([each[name] for each in found] for name in found[0])]
        print(f'| {epoch + 1} | {" | ".join(cells)} | {p1(displacements(after_small_steps(step, len(train)))):.1f} '
              f'(raw {found[-1]["raw"]:.1f}) |', flush=True)


if __name__ == '__main__':
    run_script(main)
