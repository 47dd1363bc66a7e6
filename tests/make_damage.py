"""Damage as disks, networks and strangers do it: files cut, flipped, overwritten, and spliced with one another."""

import pickletools
import random
from collections.abc import Callable, Sequence

# What claims are made of: sizes and counts at the edges of their types, in the byte orders that formats use.
CLAIMS = (b'\0' * 4, b'\xff' * 4, b'\xff' * 8, b'\xff\xff\xff\x7f', b'\x7f\xff\xff\xff', b'\0\0\0\x80', b'\1\0\0\0',
          b'\0\0\0\0\0\1\0\0', b'9' * 12, b'-1', b'\0', b'\x80', b'\n')


def cut(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    del content[_place(rng, content):]


def cut_front(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    del content[:rng.randint(1, 64)]


def flip(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[_place(rng, content)] ^= 1 << rng.randrange(8)


def overwrite(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    place, claim = _place(rng, content), rng.choice(CLAIMS)
    content[place:place + len(claim)] = claim


def remove(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    place = _place(rng, content)
    del content[place:place + rng.randint(1, 40)]


def repeat(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    place, length = _place(rng, content), rng.randint(1, 40)
    content[place:place] = content[place:place + length] * rng.choice((1, 1, 2, 50))


def swap(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    first, second, length = _place(rng, content), _place(rng, content), rng.randint(1, 16)
    content[first:first + length], content[second:second + length] = (
        content[second:second + length], content[first:first + length])


def splice(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    """Put a part of another file into this one, or its end onto this one's beginning."""
    other = rng.choice(others)
    start = rng.randrange(len(other))
    place = _place(rng, content)
    if rng.random() < 0.5:
        content[place:] = other[start:]
    else:
        content[place:place + rng.randint(0, 200)] = other[start:start + rng.randint(1, 200)]


KINDS: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    cut, cut_front, *[flip] * 6, *[overwrite] * 4, remove, repeat, swap, swap, splice, splice)


def damage(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes] = ()) -> bytes:
    """One of the files, damaged in one to three places; parts of `others` may be spliced in too."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if content:
            rng.choice(KINDS)(rng, content, [*seeds, *others])
    return bytes(content)


def _place(rng: random.Random, content: bytearray) -> int:
    """Anywhere, but at the two ends, where the headers are, more often."""
    near = min(len(content), 200)
    return rng.choice((rng.randrange(len(content)), rng.randrange(len(content)), rng.randrange(near),
                       len(content) - 1 - rng.randrange(near)))


OPERATIONS = (
    *(bytes([code]) for code in b'Rbaesut(012]})QNo'), b'\x81', b'\x85', b'\x86', b'\x8f', b'\x93', b'\x94', b'I-1\n',
    b'I4294967296\n', b'K\1', b'h\0', b'h\1', b'h\5', b'h\x10')


def operations(pickled: bytes) -> list[bytes]:
    """A pickle cut into its opcodes, without the frames, whose lengths would no longer hold."""
    places = [(place or 0, opcode.name) for opcode, _, place in pickletools.genops(pickled)]
    ends = [place for place, _ in places[1:]] + [len(pickled)]
    return [pickled[place:end] for (place, name), end in zip(places, ends) if name != 'FRAME']


def damage_pickle(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes] = ()) -> bytes:
    """As `damage`, mostly opcode by opcode: what comes of it is still a program that runs for a while."""
    if rng.random() < 0.25:
        return damage(rng, seeds, others)
    content, other = operations(rng.choice(seeds)), operations(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3))):
        place, source = rng.randrange(len(content)), rng.randrange(len(other))
        kind = rng.randrange(6)
        if kind == 0:
            del content[place]
        elif kind == 1:
            content.insert(place, rng.choice(OPERATIONS))
        elif kind == 2:
            content[place] = rng.choice(OPERATIONS)
        elif kind == 3:
            content[place:place] = other[source:source + rng.choice((1, 1, 5, 20))]
        elif kind == 4:
            content[place] = damage(rng, [content[place]])
        else:
            alike = [piece for piece in other if piece[:1] == content[place][:1]]
            content[place] = rng.choice(alike or [content[place]])
        if not content:
            break
    return b''.join(content)
