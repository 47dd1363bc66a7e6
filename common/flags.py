"""Command-line flags made from the fields of dataclasses: name, type, default and help stand once, at the field."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

_UNTYPED = object()


def flag(default: Any, help: str, **keywords: Any) -> Any:
    """A field of a dataclass that is a flag, too.

    Args:
        default: of the field and of the flag; `dataclasses.MISSING` where `add_flags` gives it.
        help: one sentence; the default is added to it.
        keywords: as of `ArgumentParser.add_argument`; further:
            names: of the flag, in place of --FIELD; `short` is added in front of them.
            more: the flag is shown by --help_all alone.
    """
    return dataclasses.field(default=default, metadata={'help': help, **keywords})


class Parser(argparse.ArgumentParser):
    """A parser whose `--help` fits on a screen: it leaves out the flags marked `more`, which `--help_all` shows.

    Args:
        doc: the script's docstring.
    """

    def __init__(self, doc: str | None) -> None:
        super().__init__(description=doc, formatter_class=_Formatter, allow_abbrev=False)
        self.further: list[argparse.Action] = []
        self.add_argument('--help_all', action=_HelpAll, nargs=0, help='show all flags and exit')

    def add_flags(self, title: str, options: type, defaults: dict[str, Any] | None = None,
                  only: Sequence[str] = ()) -> None:
        """Add the flags of a dataclass, as a group.

        Args:
            title: of the group in the help; several classes can share a group.
            defaults: in place of the fields' own.
            only: the fields to add; all by default.
        """
        for field in dataclasses.fields(options):
            if 'help' in field.metadata and (not only or field.name in only):
                default = (defaults or {}).get(field.name, field.default)
                self.add_flag(title, field.name, default=default, **field.metadata)

    def add_flag(self, title: str, dest: str, **keywords: Any) -> None:
        """Add one flag; keywords as of `flag`."""
        group = next((group for group in self._action_groups if group.title == title), None)
        group = group or self.add_argument_group(title)
        default, more = keywords['default'], keywords.pop('more', False)
        names = [*filter(None, [keywords.pop('short', None)]), *keywords.pop('names', [f'--{dest}'])]
        if isinstance(default, bool):
            keywords['action'] = 'store_false' if default else 'store_true'
        elif 'action' not in keywords:
            if default is not None and not isinstance(default, tuple):
                keywords.setdefault('type', type(default))
            if default not in (None, '', ()) and keywords['help'] != argparse.SUPPRESS:
                keywords['help'] += f' (default: {default})'.replace('%', '%%')
        action = group.add_argument(*names, dest=dest, **keywords)
        if more:
            self.further.append(action)

    def format_help(self) -> str:
        helps = [action.help for action in self.further]
        for action in self.further:
            action.help = argparse.SUPPRESS
        try:
            return super().format_help()
        finally:
            for action, text in zip(self.further, helps, strict=True):
                action.help = text

    def typed(self, argv: list[str] | None = None) -> dict[str, Any]:
        """{flag: value} of the flags on the command line: argparse sets no default where the namespace has a value."""
        blank = argparse.Namespace(**{action.dest: _UNTYPED for action in self._actions})
        return {name: value for name, value in vars(self.parse_args(argv, blank)).items() if value is not _UNTYPED}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)


class _HelpAll(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        parser.further.clear()
        parser.print_help()
        parser.exit()


def filled(options: type, values: dict[str, Any]) -> Any:
    """The dataclass with the values of its flags, from the namespace of a parser as a dict."""
    return options(**{field.name: values[field.name] for field in dataclasses.fields(options)
                      if 'help' in field.metadata and field.name in values})
