"""Measure this program against a straightforward one, on this machine, in one run.

    python -m benchmarks                                    # everything, about half an hour on two cores
    python -m benchmarks --quick                            # about a minute
    python -m benchmarks step epoch --networks SemGCN --threads 1
    python -m benchmarks --output benchmark.json

The straightforward program (benchmarks/straightforward.py) has the same equations; both are timed in turns, ABAB...,
and medians are told. Ratios hold on a machine that does other things too; times want a quiet one.
"""

import argparse
import json
import os
import shlex
import sys

import torch

from benchmarks.measure import machine, matmul_rate, threads
from benchmarks.sections import SECTIONS, Plan, Row
from benchmarks.sides import NETWORKS
from common.argument_types import positive_int
from common.arguments import resolve_device
from common.errors import run_script
from common.files.atomic import atomic_write

H36M_FRAMES = 525_774
HEAD = ('what', 'threads', 'batch', 'straightforward', 'this program', 'ratio', 'poses/s', 'of matmul rate')


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
                        help="of the motion that is loaded (default: Human3.6M's 525774, quick 20000)")
    parser.add_argument('--batches', nargs='+', type=positive_int, metavar='N',
                        help='batch sizes; the first is for all but `scaling` (default: 64 16 256 1024 4096, '
                             'quick 64 512)')
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda, cuda:1, ...')
    parser.add_argument('--output', metavar='FILE', help='write everything to this JSON file too')
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    quick = args.quick
    every = torch.get_num_threads()
    return Plan(args.repetitions or (3 if quick else 25), tuple(args.networks),
                tuple(args.threads or sorted({1, min(2, every), every})),
                tuple(args.batches or ((64, 512) if quick else (64, 16, 256, 1024, 4096))),
                args.poses or (640 if quick else 6400), args.frames or (20_000 if quick else H36M_FRAMES),
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
        print(f'\n{name}: {known[name].__doc__.splitlines()[0]}\n\n{_line(HEAD)}\n{_line(["---"] * len(HEAD))}')
        for row in known[name](plan):
            rows.append(row)
            print(_line(_cells(row)), flush=True)
    if args.output:
        with atomic_write(os.path.abspath(args.output), 'w') as file:
            json.dump({'machine': about, 'matmul_gflops': rates, 'rows': [row.as_dict() for row in rows]}, file,
                      indent=1)


def _line(cells) -> str:
    return f'| {" | ".join(map(str, cells))} |'


def _cells(row: Row) -> list[str]:
    def shown(value, form):
        return '' if value is None else format(value, form)
    decimals = '.2f' if row.unit in ('ms', 's') else ',.0f'
    return [row.what, shown(row.threads, 'd'), shown(row.batch, ',d'),
            *(shown(value, decimals) + (f' {row.unit}' if value is not None else '')
              for value in (row.straightforward, row.program)),
            shown(row.ratio, '.2f'), shown(row.poses_per_second, ',.0f'), shown(row.matmul_share, '.0%')]


if __name__ == '__main__':
    run_script(main)
