"""Small networks, built as the program builds them or on the plain equations."""

import numpy as np
import pytest
import torch

import models.config
from common.datasets import h36m
from common.geometry.graph import adjacency
from models import linear_model, sem_gcn
from models.config import ModelConfig, build_model

SKELETON = h36m.skeleton()
ADJACENCY = torch.from_numpy(adjacency(SKELETON))
GOLDEN_NETWORKS = {  # by the names of the files in tests/golden
    'sem_gcn': ModelConfig('gcn', hid_dim=16, num_layers=2),
    'sem_gcn_non_local': ModelConfig('gcn', hid_dim=16, num_layers=2, non_local=True),
    'linear': ModelConfig('linear', hid_dim=32, num_layers=2, dropout=0.0),
}


def build(config, skeleton=SKELETON):
    """The network as the program builds it."""
    return build_model(config, skeleton)


def build_plain(config, skeleton=SKELETON):
    """The network on the plain equations, without `models/fast/`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.config, 'SemGCN', sem_gcn.SemGCN)
        patch.setattr(models.config, 'LinearModel', linear_model.LinearModel)
        return build_model(config, skeleton)


def tensors(arrays, prefix):
    """The arrays whose names begin with a prefix, as a state dict without it."""
    return {key.removeprefix(prefix): torch.from_numpy(np.asarray(value))
            for key, value in arrays.items() if key.startswith(prefix)}


def randomize(model, std=0.3):
    """Give all parameters normal values: a new non-local block is the identity, which would hide mistakes."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model
