"""What only a CUDA device can show: a captured step is a plain step, and a run goes on to the same bits."""

import pytest
import torch

from common.datasets import h36m, loading
from common.datasets.batches import PoseBatches
from common.datasets.poses import pair
from common.training.augmentation import Samples
from common.training.cuda_graph import CapturedStep
from common.training.epoch import Counters, train_epoch
from common.training.recipe import Recipe, Schedule
from common.training.step import TrainingStep
from models.config import ModelConfig, build_model, default_config
from tests.helpers.runs import GCN, assert_same_run, run_folder, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='PyTorch finds no CUDA device here')


@pytest.mark.parametrize('config', [ModelConfig('gcn', hid_dim=32, num_layers=2), default_config('linear'),
                                    ModelConfig('gcn', hid_dim=32, num_layers=2, non_local=True)])
@pytest.mark.parametrize('flags', [{}, {'ema': 0.99, 'loss': 'mpjpe', 'schedule': 'linear'}])
def test_captured_steps_are_plain_steps(data_dir, config, flags):
    """40 steps with a rate that changes, on batches with a smaller one at the end of each epoch."""
    device = torch.device('cuda')
    dataset = loading.load_dataset('tiny', str(data_dir))
    poses = pair(dataset, loading.load_keypoints(dataset, 'gt', str(data_dir)), ['S1', 'S5'],
                            dataset.kinds).to(device)
    config = ModelConfig(**{**config.as_dict(), 'dropout': 0.0})
    curves = []
    for kind in (TrainingStep, CapturedStep):
        torch.manual_seed(0)
        recipe = Recipe(4, 1, batch_size=30, **flags)
        model = build_model(config, h36m.skeleton()).to(device)
        step = kind(model, recipe, Samples(poses, dataset.skeleton, recipe))
        batches = PoseBatches(len(poses), 30, torch.Generator().manual_seed(0), device)
        counters = Counters()
        schedule = Schedule(decay=7, gamma=0.8, kind=recipe.schedule, total=4 * len(batches))
        curve = []
        for _ in range(4):
            for _ in train_epoch(step, batches, schedule, counters):
                pass
            curve.append(counters.loss)
            counters.next_epoch()
        curves.append(curve)
        assert kind is TrainingStep or step.graph is not None
    torch.testing.assert_close(torch.tensor(curves[1]), torch.tensor(curves[0]), rtol=1e-4, atol=0)
    assert curves[0][-1] < curves[0][0]


def test_a_run_on_the_device_goes_on_where_it_was(workplace, script):
    arguments = [*GCN, '--device', 'cuda', '--dropout', '0.2', '--ema', '0.9', '--snapshot', '2']
    train(script, *arguments, '-e', '4', '-c', 'whole')
    train(script, *arguments, '-e', '2', '-c', 'halves')
    halves = run_folder('halves')
    train(script, '-e', '4', '--device', 'cuda', '-r', f'{halves}/ckpt_last.pth.tar')
    assert_same_run(run_folder('whole'), halves)
