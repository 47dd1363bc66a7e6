"""Flags made from dataclasses: names, defaults, help on one screen and in full."""

from dataclasses import dataclass

import pytest

from common.flags import Parser, filled, flag


@dataclass(frozen=True)
class Options:
    rate: float = flag(1.5, 'rate of the steps', metavar='F')
    clip: bool = flag(True, 'do not clip', names=['--no_clip'])
    file: str | None = flag(None, 'file to read', short='-f')
    rare: int = flag(3, 'rarely used, 5 %% of the time', more=True)
    inner: int = 7


@pytest.fixture
def parser():
    made = Parser('A script.')
    made.add_flags('options', Options, {'rate': 2.5})
    return made


def test_flags_fill_the_dataclass(parser):
    args = vars(parser.parse_args(['--no_clip', '-f', 'x', '--rare', '4']))
    assert filled(Options, args) == Options(2.5, False, 'x', 4)
    assert parser.typed(['--rate', '1']) == {'rate': 1.0} and parser.typed([]) == {}


def test_short_help_leaves_out_what_is_rarely_used(parser, capsys):
    for flags, shown in (['--help'], False), (['--help_all'], True):
        with pytest.raises(SystemExit) as end:
            parser.parse_args(flags)
        text = capsys.readouterr().out
        assert end.value.code == 0 and ('5 % of the time (default: 3)' in text) is shown
        assert '(default: 2.5)' in text and '--inner' not in text
