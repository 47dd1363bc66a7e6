"""The start of an evaluation and of viz.py: they load no package that costs a second of processor time and more."""

import subprocess
import sys

from common.checkpoint import Checkpoint
from common.files.npz import write_npz
from models.config import ModelConfig, build_model
from tests.conftest import ROOT, moving_people
from tests.helpers.networks import SKELETON

PROGRAM = """
import sys
import main_gcn, main_linear, viz
DRAWN = '--viz_subject S9 --viz_action Eating --viz_output a.png --viz_size 1'
for main, flags in ((main_gcn.main, '--evaluate gcn.pth.tar'), (main_gcn.main, '--evaluate wild.pth.tar'),
                    (main_linear.main, '--evaluate linear.pth.tar'), (viz.main, f'--evaluate gcn.pth.tar {DRAWN}')):
    sys.argv = ['script', *flags.split(), '--dataset', 'tiny', '--device', 'cpu']
    main()
    if found := [name for name in ('torch._dynamo', 'torch._inductor', 'sympy', 'onnx') if name in sys.modules]:
        sys.exit(f'{flags} imports {found}')
"""


def test_no_evaluation_and_no_drawing_imports_the_compiler(tmp_path):
    (tmp_path / 'data').mkdir()
    write_npz(str(tmp_path / 'data' / 'data_3d_tiny.npz'), positions_3d=moving_people())
    for name, config in (('gcn', ModelConfig('gcn', 8, 1, non_local=True)), ('linear', ModelConfig('linear', 8, 1)),
                         ('wild', ModelConfig('gcn', 8, 1, window=5))):
        state = build_model(config, SKELETON).state_dict()
        Checkpoint(1, 1e-3, 1, state, None, 0.0, config, normalization='person' if name == 'wild' else 'image',
                   average={'state_dict': state, 'updates': 1}).save(str(tmp_path / f'{name}.pth.tar'))
    done = subprocess.run([sys.executable, '-c', PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                          check=False, env={'PYTHONPATH': str(ROOT), 'PATH': '', 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
