"""A target of the fuzzing: a reader, and the files that are damaged for it."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.make_damage import damage


@dataclass(frozen=True)
class Target:
    """A reader and the files to damage for it.

    Attributes:
        title: of the row in the report.
        name: of the file, in a folder of the target's own.
        seeds: makes the whole files, or the parts of files that `pack` packs.
        read: reads a path; a UserError is an answer.
        pack: wraps a damaged part in a whole file, with correct checksums, so that the damage reaches the reader.
        damage: makes an input of the seeds.
        beside: makes the whole files that belong to the damaged one, by name.
        apart: the program reads such files in another process, and reports when that process crashes or does not end.
    """

    title: str
    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[str], Any]
    pack: Callable[[bytes], bytes] = bytes
    damage: Callable[[random.Random, Sequence[bytes], Sequence[bytes]], bytes] = damage
    beside: Callable[[], Mapping[str, bytes]] = field(default=dict)
    apart: bool = False
