"""Small networks, built as the program builds them or on the plain equations."""

import numpy as np
import pytest
import torch

import models.config
from common.datasets import h36m
from common.geometry.graph import adjacency
from common.geometry.skeleton import Skeleton
from models import linear_model, sem_gcn
from models.config import ModelConfig, build_model

SKELETON = h36m.skeleton()
OTHER_SKELETONS = {
    'Human3.6M 17': h36m.skeleton_17(),
    'HumanEva 15': Skeleton(
        names=('Pelvis', 'Thorax', 'LShoulder', 'LElbow', 'LWrist', 'RShoulder', 'RElbow', 'RWrist', 'LHip', 'LKnee',
               'LAnkle', 'RHip', 'RKnee', 'RAnkle', 'Head'),
        parents=(-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1),
        left=(2, 3, 4, 8, 9, 10), right=(5, 6, 7, 11, 12, 13)),
    'BODY_25': Skeleton(  # its joint 8, the hip, first
        names=('MidHip', 'Nose', 'Neck', 'RShoulder', 'RElbow', 'RWrist', 'LShoulder', 'LElbow', 'LWrist', 'RHip',
               'RKnee', 'RAnkle', 'LHip', 'LKnee', 'LAnkle', 'REye', 'LEye', 'REar', 'LEar', 'LBigToe', 'LSmallToe',
               'LHeel', 'RBigToe', 'RSmallToe', 'RHeel'),
        parents=(-1, 2, 0, 2, 3, 4, 2, 6, 7, 0, 9, 10, 0, 12, 13, 1, 1, 15, 16, 14, 19, 14, 11, 22, 11),
        left=(6, 7, 8, 12, 13, 14, 16, 18, 19, 20, 21), right=(3, 4, 5, 9, 10, 11, 15, 17, 22, 23, 24)),
    'hand of 21': Skeleton(
        names=('Wrist', *(f'{finger}{joint}' for finger in ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
                          for joint in range(1, 5))),
        parents=(-1, *(0 if joint % 4 == 0 else joint for joint in range(20)))),
}
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
