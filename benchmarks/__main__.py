"""Measure this program beside a reference program, on this machine, in one run.

    python -m benchmarks                                    # everything, about half an hour on two cores
    python -m benchmarks step epoch evaluation memory --threads 2
    python -m benchmarks --quick                            # about a minute
    python -m benchmarks --output benchmark.json

The reference program (benchmarks/reference.py) has the same equations, written the obvious way. Both programs are timed
in turns, ABAB..., and medians are printed. Ratios are valid on a busy machine too; times need a quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable

import torch

from benchmarks.implementations import NETWORKS
from benchmarks.measure import machine, matmul_rate, threads
from benchmarks.sections import SECTIONS, Plan, Row
from common.argument_types import positive_int
from common.arguments import resolve_device
from common.errors import run_script
from common.files.atomic import atomic_write

H36M_FRAMES = 525_774
HEAD = ('what', 'threads', 'batch', 'reference', 'this program', 'ratio', 'poses/s')


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [section.__name__ for section in SECTIONS]
    parser.add_argument('sections', nargs='*', metavar='SECTION',
                        help=f'what to measure, of {" ".join(names)} (default: all)')
    parser.add_argument('--quick', action='store_true', help='fewer repetitions, less data, fewer batch sizes')
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS), help='(default: all)')
    parser.add_argument('--threads', nargs='+', type=positive_int, metavar='N', help='(default: 1, 2 and all)')
    parser.add_argument('--repetitions', type=positive_int, metavar='N', help='(default: 25, quick 3)')
    parser.add_argument('--poses', type=positive_int, metavar='N',
                        help='of an epoch; an evaluation has 8 times as many (default: 6400, quick 640)')
    parser.add_argument('--frames', type=positive_int, metavar='N',
                        help="of the motion that is loaded (default: Human3.6M's 525774, quick 40000)")
    parser.add_argument('--batches', nargs='+', type=positive_int, metavar='N',
                        help='batch sizes; the first is for all but `scaling` (default: 64 16 256 1024 4096, '
                             'quick 64 512)')
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda, cuda:1, ...')
    parser.add_argument('--output', metavar='FILE', help='write everything to this JSON file too')
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    quick, every = args.quick, torch.get_num_threads()
    return Plan(args.repetitions or (3 if quick else 25), tuple(args.networks),
                tuple(args.threads or sorted({1, min(2, every), every})),
                tuple(args.batches or ((64, 512) if quick else (64, 16, 256, 1024, 4096))),
                args.poses or (640 if quick else 6400), args.frames or (40_000 if quick else H36M_FRAMES),
                resolve_device(args.device))


def main() -> None:
    parser = get_args_parser()
    args = parser.parse_args()
    known = {section.__name__: section for section in SECTIONS}
    unknown = [name for name in args.sections if name not in known]
    if unknown:
        parser.error(f'no section {unknown[0]}: choose from {" ".join(known)}')
    plan = plan_of(args)
    about = machine(plan.device)
    about['command'] = shlex.join(['python', '-m', 'benchmarks', *sys.argv[1:]])
    print(*(f'{name}: {value}' for name, value in about.items()), sep='\n')
    rates = {}
    for count in plan.threads:
        with threads(count):
            rates[count] = matmul_rate(plan.device) / 1e9
        print(f'1024x1024 matrix product, {count} threads: {rates[count]:.0f} GFLOP/s')

    rows: list[Row] = []
    for name in args.sections or known:
        print(f'\n{name}: {(known[name].__doc__ or "").splitlines()[0]}\n\n{_line(HEAD)}\n{_line(["---"] * len(HEAD))}')
        for row in known[name](plan):
            rows.append(row)
            print(_line(_cells(row)), flush=True)
    if args.output:
        with atomic_write(os.path.abspath(args.output), 'w') as file:
            json.dump({'machine': about, 'matmul_gflops': rates, 'rows': [row.as_dict() for row in rows]}, file,
                      indent=1)


def _line(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _cells(row: Row) -> list[str]:
    decimals = '.2f' if row.unit in ('ms', 's') else ',.0f'
    counts = [f'{number:,}' if number else '' for number in (row.threads, row.batch)]
    values = [f'{value:{decimals}} {row.unit}' for value in (row.reference, row.program)]
    rate = f'{row.poses_per_second:,.0f}' if row.poses_per_second else ''
    return [row.what, *counts, *values, f'{row.reference / row.program:.2f}', rate]


if __name__ == '__main__':
    run_script(main)
