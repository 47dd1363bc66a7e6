"""Measure this program beside a reference program, on this machine, in one run.

    python -m benchmarks                                    # everything, about half an hour on two cores
    python -m benchmarks step epoch evaluation memory --threads 2
    python -m benchmarks --quick                            # about a minute
    python -m benchmarks --output benchmark.json

The reference program (benchmarks/reference.py) trains and evaluates the plain networks of models/ the obvious way.
Both programs are timed in turns, ABAB..., and medians are printed. Ratios are valid on a busy machine too; times need a
quiet one. Conclusions: docs/performance.md.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable

from benchmarks.measure import machine, matmul_rate, threads
from benchmarks.sections import QUICK, SECTIONS, Plan, Row, Section
from common.errors import run_script
from common.files.atomic import atomic_write
from common.flags import Parser, filled

HEAD = ('what', 'threads', 'batch', 'reference', 'this program', 'ratio', 'poses/s')


def section(name: str) -> Section:
    """The section of a name; a type of argparse."""
    sections = {section.__name__: section for section in SECTIONS}
    if name not in sections:
        raise argparse.ArgumentTypeError(f'no section {name}: choose from {" ".join(sections)}')
    return sections[name]


def get_args_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument('sections', nargs='*', type=section, metavar='SECTION',
                        help=f'of {" ".join(section.__name__ for section in SECTIONS)} (default: all)')
    parser.add_argument('--quick', action='store_true', help='fewer repetitions, less data, fewer batch sizes')
    parser.add_argument('--output', metavar='FILE', help='write everything to this JSON file too')
    parser.add_flags('extent', Plan)
    return parser


def main() -> None:
    parser = get_args_parser()
    args = parser.parse_args()
    plan: Plan = filled(Plan, {**vars(args), **(QUICK if args.quick else {}), **parser.typed()})
    about = machine(plan.device)
    about['command'] = shlex.join(['python', '-m', 'benchmarks', *sys.argv[1:]])
    print(*(f'{name}: {value}' for name, value in about.items()), sep='\n')
    rates = {}
    for count in plan.thread_counts():
        with threads(count):
            rates[count] = matmul_rate(plan.device) / 1e9
        print(f'1024x1024 matrix product, {count} threads: {rates[count]:.0f} GFLOP/s')

    rows: list[Row] = []
    for measure in args.sections or SECTIONS:
        print(f'\n{measure.__name__}: {(measure.__doc__ or "").splitlines()[0]}\n')
        print(f'{_line(HEAD)}\n{_line(["---"] * len(HEAD))}')
        for row in measure(plan):
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
