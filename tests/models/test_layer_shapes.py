"""Shapes that layers and networks take and return."""

import pytest
import torch

from models.config import ModelConfig
from models.graph_non_local import GraphNonLocal
from models.linear_model import LinearStage
from models.sem_ch_graph_conv import SemCHGraphConv
from models.sem_gcn import GraphConv, ResGraphConv
from models.sem_graph_conv import SemGraphConv
from tests.helpers.networks import ADJACENCY, OTHER_SKELETONS, SKELETON, build, build_plain

both_convolutions = pytest.mark.parametrize('conv', [SemGraphConv, SemCHGraphConv])
both_batches = pytest.mark.parametrize('batch', [1, 5])


@both_batches
@both_convolutions
@pytest.mark.parametrize('channels, outputs', [(2, 8), (8, 8), (8, 3)])
def test_graph_convolution(conv, channels, outputs, batch):
    layer = conv(channels, outputs, ADJACENCY)
    assert layer(torch.randn(batch, 16, channels)).shape == (batch, 16, outputs)
    assert layer.edge_weights().shape == (1 if conv is SemGraphConv else outputs, 16, 16)
    assert layer.e.shape == (1 if conv is SemGraphConv else outputs, 46)


@both_batches
@both_convolutions
def test_graph_convolution_blocks(conv, batch):
    assert GraphConv(conv(2, 8, ADJACENCY), 0.1)(torch.randn(batch, 16, 2)).shape == (batch, 16, 8)
    block = ResGraphConv(conv(8, 8, ADJACENCY), conv(8, 8, ADJACENCY), 0.1)
    assert block(torch.randn(batch, 16, 8)).shape == (batch, 16, 8)


@both_batches
@pytest.mark.parametrize('groups', [SKELETON.groups, [(0,), (1, 2, 3), (4, 5)], [(1,), (0,)]])
def test_non_local_block(groups, batch):
    block, joints = GraphNonLocal(8, groups), sum(map(len, groups))
    assert block(torch.randn(batch, joints, 8)).shape == (batch, joints, 8)
    assert block.pool(torch.randn(batch, joints, 4)).shape == (batch, len(groups), 4)


@both_batches
def test_linear_stage(batch):
    assert LinearStage(8, 0.5).eval()(torch.randn(batch, 8)).shape == (batch, 8)


@both_batches
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('make', [build, build_plain])
@pytest.mark.parametrize('config', [
    *(ModelConfig('gcn', hid_dim=8, num_layers=1, conv=conv, non_local=non_local)
      for conv in ('sem', 'semch') for non_local in (False, True)),
    ModelConfig('gcn', hid_dim=8, num_layers=0), ModelConfig('linear', hid_dim=8, num_layers=1),
    ModelConfig('gcn', hid_dim=8, num_layers=1, window=5), ModelConfig('linear', hid_dim=8, num_layers=1, window=5),
], ids=ModelConfig.describe)
def test_network(config, make, training, batch):
    model = make(config).train(training)
    if config.architecture == 'linear' and training and batch == 1:
        pytest.skip('batch norm needs more than one value a channel')
    positions = model(torch.randn(batch, 16, 2 * config.window))
    assert positions.shape == (batch, 16, 3)
    assert positions.isfinite().all()


@both_batches
@pytest.mark.parametrize('make', [build, build_plain])
@pytest.mark.parametrize('skeleton', OTHER_SKELETONS.values(), ids=OTHER_SKELETONS)
@pytest.mark.parametrize('config', [ModelConfig('gcn', hid_dim=8, num_layers=1, non_local=True, window=3),
                                    ModelConfig('linear', hid_dim=8, num_layers=1, window=3)], ids=ModelConfig.describe)
def test_network_of_another_skeleton_and_a_window(config, skeleton, make, batch):
    model = make(config, skeleton).eval()
    assert model(torch.randn(batch, len(skeleton), 6)).shape == (batch, len(skeleton), 3)
