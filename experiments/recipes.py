"""What does each ingredient of the tuned recipe change, over three seeds?

    python -m experiments.recipes --dataset demo
    python -m experiments.recipes --dataset cmu --networks SemGCN --rows published tuned
    python -m experiments.recipes --output recipes.json --jobs 2     # runs only what the file lacks

Each row is a command. Errors are P1 and P2 of the last epoch in mm, averaged over actions, mean and standard deviation
over seeds. Conclusions: docs/accuracy.md and docs/measurements/accuracy.md.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import machine
from common.argument_types import positive_int
from common.errors import run_script
from common.files.atomic import atomic_write
from common.flags import Parser

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {'SemGCN': 'main_gcn.py', 'non-local': 'main_gcn.py --non_local', 'linear': 'main_linear.py'}
ROWS = {
    'published': '',
    'tuned': '--recipe tuned',
    # tuned, with one change
    'unit 1, rate 2e-2': '--recipe tuned --unit 1 --lr 2e-2',
    'rate 2e-2': '--recipe tuned --lr 2e-2',
    'rate 5e-3': '--recipe tuned --lr 5e-3',
    'squared error': '--recipe tuned --loss mse',
    'absolute error': '--recipe tuned --loss l1',
    'aligned loss': '--recipe tuned --loss mpjpe_aligned',
    'bone loss': '--recipe tuned --loss joints_bones',
    'mirror at test time': '--recipe tuned --tta flip',
    'mirrored, and at test time': '--recipe tuned --flip --tta flip',
    'batches of 32': '--recipe tuned --batch_size 32',
    'batches of 128': '--recipe tuned --batch_size 128',
    'AdamW': '--recipe tuned --optimizer adamw --weight_decay 0.1',
    'seven layers of 96': '--recipe tuned --num_layers 7 --hid_dim 96',  # of SemGCN
}


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument('--dataset', default='demo', help='(default: demo)')
    parser.add_argument('--data_dir', default='data', metavar='DIR', help='(default: data)')
    parser.add_argument('--networks', nargs='+', choices=COMMANDS, default=list(COMMANDS), help='(default: all)')
    parser.add_argument('--rows', nargs='+', choices=ROWS, default=list(ROWS), metavar='ROW', help='(default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='N', help='(default: 0 1 2)')
    parser.add_argument('--epochs', type=positive_int, default=5, metavar='N', help='(default: 5)')
    parser.add_argument('--downsample', type=positive_int, default=1, metavar='N', help='(default: 1)')
    parser.add_argument('--jobs', type=positive_int, default=1, metavar='N', help='runs at a time (default: 1)')
    parser.add_argument('--output', metavar='FILE.json', help='keep the results here, and do not repeat them')
    return parser


def train(command: str, data: list[str]) -> dict[str, float]:
    """Run a training. Returns P1 and P2 of its last epoch, mm, and its time, s."""
    environment = {**os.environ, 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')}
    with tempfile.TemporaryDirectory() as folder:
        report, started = os.path.join(folder, 'report.json'), time.monotonic()
        subprocess.run([sys.executable, *shlex.split(command), *data, '--report', report, '--checkpoint', folder],
                       cwd=ROOT, check=True, env=environment, stdout=subprocess.DEVNULL)
        with open(report, encoding='utf-8') as file:
            errors = json.load(file)['action_wise_average']
    return {'P1': errors['mpjpe_mm'], 'P2': errors['p_mpjpe_mm'], 'seconds': time.monotonic() - started}


def main() -> None:
    args = get_args_parser().parse_args()
    data = ['--dataset', args.dataset, '--data_dir', os.path.abspath(args.data_dir), '--downsample',
            str(args.downsample), '--device', 'cpu']
    runs: dict[str, dict[str, Any]] = {}
    if args.output and os.path.exists(args.output):
        with open(args.output, encoding='utf-8') as file:
            runs = json.load(file)['runs']

    def run_once(row: str, network: str, seed: int) -> None:
        command = f'{COMMANDS[network]} {ROWS[row]}'.strip() + f' -e {args.epochs} --seed {seed}'
        key = f'{command} --dataset {args.dataset} --downsample {args.downsample}'
        if key not in runs:
            runs[key] = {'row': row, 'network': network, 'dataset': args.dataset, **train(command, data)}
            print(f'{key}: {runs[key]["P1"]:.1f} {runs[key]["P2"]:.1f}', file=sys.stderr, flush=True)
            if args.output:
                with atomic_write(args.output, 'w') as file:
                    json.dump({'machine': machine(torch.device('cpu')), 'runs': runs}, file, indent=1)

    with ThreadPoolExecutor(args.jobs) as pool:
        for result in [pool.submit(run_once, row, network, seed) for row in args.rows for network in args.networks
                       for seed in args.seeds]:
            result.result()
    print_table(runs, args.dataset)


def print_table(runs: dict[str, dict[str, Any]], dataset: str) -> None:
    """Print a line of Markdown for each row and network: mean and standard deviation over the seeds."""
    print(f'| {dataset} | network | runs | P1 | P2 | flags |\n|---|---|---|---|---|---|')
    for network in COMMANDS:
        for row, flags in ROWS.items():
            same = [run for run in runs.values()
                    if (run['row'], run['network'], run['dataset']) == (row, network, dataset)]
            if same:
                cells = [f'{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}'
                         for values in ([run[error] for run in same] for error in ('P1', 'P2'))]
                print(f'| {row} | {network} | {len(same)} | {" | ".join(cells)} | `{flags}` |')


if __name__ == '__main__':
    run_script(main)
