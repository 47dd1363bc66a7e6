"""Errors and warnings that a user can cause, each one sentence, and the function that runs every script."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """An error that the user can fix. Its text is one sentence: what is wrong, in which file, what to do."""


def printable(content: object, limit: int = 200) -> str:
    """Text from a file, made fit for a sentence: one line, no control characters, cut after `limit` characters."""
    text = str(content)
    shown = ''.join(c if c.isprintable() else ' ' if c.isspace() else '?' for c in text[:limit])
    return shown if len(text) <= limit else f'{shown}...'


def listing(names: Iterable[object], limit: int = 12, length: int = 60) -> str:
    """Names in one line for an error or a warning, cut after `length`; those after the first `limit` are counted."""
    names = list(names)
    shown = ', '.join(printable(name, length) for name in names[:limit])
    return shown if len(names) <= limit else f'{shown} and {len(names) - limit} more'


def counted(number: int, noun: str) -> str:
    """1 frame, 2 frames."""
    return f'{number:,} {noun}' + 's' * (number != 1)


_recordings: list[tuple[list[str], bool]] = []  # with whether it is quiet
_silent = False


def silence_warnings() -> None:
    """Let `warn` print nothing: another process of the same run prints its warnings."""
    global _silent
    _silent = True


def warn(sentence: str) -> None:
    """Print a warning on standard error; the program goes on."""
    if not _silent and not any(quiet for _, quiet in _recordings):
        print(f'Warning: {sentence}', file=sys.stderr)
    for recording, _ in _recordings:
        recording.append(sentence)


@contextmanager
def recorded_warnings(quiet: bool = False) -> Iterator[list[str]]:
    """A list that collects every sentence given to `warn` within the context.

    Args:
        quiet: they are not printed.
    """
    _recordings.append(([], quiet))
    try:
        yield _recordings[-1][0]
    finally:
        _recordings.pop()


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main function. Errors that the user caused end with one sentence and status 2.

    A traceback that a user sees is a bug of the program.
    """
    script = os.path.basename(sys.argv[0])
    try:
        main()
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be reported
    except UserError as error:
        _stop(f'{script}: {error}', 2)
    except BrokenPipeError:  # the reader of the output has closed it (`| head`), so nothing can be printed
        _drop_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f' ({error.filename})' if error.filename else ''
        _stop(f'{script}: {error.strerror or error}{where}.', 2)
    except KeyboardInterrupt:
        _stop(f'{script}: stopped.', 130)


def _stop(sentence: str, status: int) -> None:
    try:
        sys.stdout.flush()
    except OSError:  # standard output itself has failed
        _drop_output()
    print(printable(sentence, 2000), file=sys.stderr)
    sys.exit(status)


def _drop_output() -> None:
    """Discard unwritten output; otherwise Python tries again to write it at exit, and prints a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
