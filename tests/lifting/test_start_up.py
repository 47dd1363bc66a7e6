"""The start of predict.py: it loads no package that a prediction does not need."""

import subprocess
import sys

import numpy as np

from tests.conftest import ROOT
from tests.helpers.make_detections import demo_walking

NEEDLESS = {'torch._dynamo', 'matplotlib', 'scipy.optimize'}  # half a second and more at every start


def test_a_prediction_loads_only_what_it_needs(tmp_path):
    np.save(tmp_path / 'k.npy', demo_walking(2))
    code = f'import sys, predict; predict.main(); sys.exit(str({NEEDLESS} & sys.modules.keys()))'
    done = subprocess.run([sys.executable, '-c', code, '--input', tmp_path / 'k.npy', '--size', '1000x1000', '--layout',
                           'h36m16', '--output', tmp_path / 'o.npz', '--bvh', tmp_path / 'o.bvh'], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == 'set()', done.stderr
    assert (tmp_path / 'o.npz').exists()
