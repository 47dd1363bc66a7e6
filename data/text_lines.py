"""Motion as text, line by line, with errors that name the file and the line."""

import os
from collections.abc import Iterator

from common.errors import UserError

MAX_BYTES = 256 << 20  # a quarter of an hour at 120 Hz takes a third of this
ABSURD = 1e6  # degrees, or the file's units of length


class Lines:
    """The lines of a text file split into words, without empty lines and comments; errors that name the line."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.number = 0

    def __iter__(self) -> Iterator[list[str]]:
        if os.path.getsize(self.path) > MAX_BYTES:
            raise UserError(f'{self.path} is refused: it is larger than {MAX_BYTES:,} bytes.')
        with open(self.path, encoding='latin-1') as file:
            for line in file:
                self.number += 1
                words = line.split()
                if words and not words[0].startswith('#'):
                    yield words

    def error(self, what: str) -> UserError:
        return UserError(f'{self.path}, line {self.number}: {what}; fetch the file again, or correct it.')

    def floats(self, words: list[str], count: int) -> list[float]:
        """`count` numbers, each finite and of a believable size."""
        try:
            values = list(map(float, words))
        except ValueError:
            raise self.error(f'{" ".join(words)[:60]!r} is not made of numbers') from None
        if len(values) != count:
            raise self.error(f'there are {len(values)} numbers where {count} belong')
        for value in values:
            if not -ABSURD < value < ABSURD:  # NaN is neither
                raise self.error(f'{" ".join(words)[:60]!r} are not finite numbers of a believable size')
        return values
