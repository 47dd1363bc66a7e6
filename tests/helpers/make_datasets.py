"""Data sets that describe themselves: people of other skeletons, seen by cameras of their own."""

import json

import numpy as np

from common.datasets import h36m
from common.files import npz
from data.prepare_data_demo import build_body, make_take

SEVENTEEN = h36m.skeleton_17()
FIFTEEN = SEVENTEEN.keep([joint for joint, name in enumerate(SEVENTEEN.names) if name not in ('Spine', 'Neck/Nose')])


def walkers(names=('S1', 'S9'), kinds=('Walking', 'Eating'), joints=h36m.SKELETON_32.names):
    """{subject: {action: (T, J, 3)}} of the demo's people, metres, z up; the joints are named."""
    kept = [h36m.SKELETON_32.names.index(name) for name in joints] if '' not in joints else list(range(32))
    return {name: {kind: make_take(np.random.default_rng([order, take]), build_body(subject), kind, 0)[:, kept]
                   for take, kind in enumerate(kinds)}
            for order, (name, subject) in enumerate(zip(names, ('S1', 'S9', 'S5')))}


def camera_entry(camera):
    """The JSON of a camera, in pixels and with R and t."""
    rotation = camera.rotation.T
    center = (camera.center + (1, camera.height / camera.width)) * camera.width / 2
    return {'width': camera.width, 'height': camera.height, 'center': center.tolist(),
            'focal_length': (camera.focal_length * camera.width / 2).tolist(),
            'radial_distortion': camera.radial_distortion.tolist(),
            'tangential_distortion': camera.tangential_distortion.tolist(),
            'R': rotation.tolist(), 't': (-rotation @ camera.translation).tolist(), 'name': camera.name}


def skeleton_entries(skeleton):
    """The entries of an `.npz` that describe a skeleton."""
    return {'joints': np.array(skeleton.names), 'parents': np.array(skeleton.parents),
            'joints_left': np.array(skeleton.left, int), 'joints_right': np.array(skeleton.right, int)}


def write_set(folder, name, positions, **entries):
    """Write `data_3d_<name>.npz`; a value that is a dict or a list of dicts is written as JSON."""
    entries = {key: json.dumps(value) if key in ('cameras', 'groups') else value for key, value in entries.items()}
    npz.write_npz(str(folder / f'data_3d_{name}.npz'), positions_3d=positions, **entries)
