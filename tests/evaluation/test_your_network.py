"""The program of docs/your_network.md runs as it is printed there."""

import json
import re
import runpy

from common.files.npz import write_npz
from tests.conftest import ROOT, moving_people


def test_the_page_evaluates_a_network_of_ones_own(tmp_path, monkeypatch, capsys):
    (program,) = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'your_network.md').read_text(), re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 22
    (tmp_path / 'data').mkdir()
    write_npz(str(tmp_path / 'data' / 'data_3d_demo.npz'), positions_3d=moving_people())  # in place of the large one
    (tmp_path / 'my_network.py').write_text(program)
    monkeypatch.chdir(tmp_path)
    runpy.run_path('my_network.py')
    assert re.search(r'Protocol #2 \(P-MPJPE\) action-wise average: \d+\.\d\d \(mm\)\n$', capsys.readouterr().out)
    report = json.loads((tmp_path / 'my_network.json').read_text())
    assert report['network'] == 'my network' and list(report['per_subject']) == ['S9']
    assert 0 < report['action_wise_average']['velocity_error_mm'] < 1000
