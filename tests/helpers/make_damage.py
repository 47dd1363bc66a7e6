"""Damage as disks, networks and strangers do it: files cut, flipped, overwritten, and spliced with one another."""

import copy
import io
import json
import pickle
import pickletools
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# What claims are made of: sizes and counts at the edges of their types, in the byte orders that formats use.
CLAIMS = (b'\0' * 4, b'\xff' * 4, b'\xff' * 8, b'\xff\xff\xff\x7f', b'\x7f\xff\xff\xff', b'\0\0\0\x80', b'\1\0\0\0',
          b'\0\0\0\0\0\1\0\0', b'9' * 12, b'-1', b'\0', b'\x80', b'\n')
KINDS = ('cut', 'cut front', *['flip'] * 6, *['overwrite'] * 4, 'remove', 'repeat', 'swap', 'swap', 'splice', 'join')


def _damage_once(rng: random.Random, content: bytearray, other: bytes) -> None:
    """Damage one place of the content; `splice` and `join` put a part or the end of another file there."""
    kind, place, length, start = rng.choice(KINDS), _place(rng, content), rng.randint(1, 40), rng.randrange(len(other))
    part = content[place:place + length]
    if kind == 'cut':
        del content[place:]
    elif kind == 'cut front':
        del content[:length]
    elif kind == 'flip':
        for _ in range(rng.choice((1, 1, 2, 8))):
            content[_place(rng, content)] ^= 1 << rng.randrange(8)
    elif kind == 'overwrite':
        claim = rng.choice(CLAIMS)
        content[place:place + len(claim)] = claim
    elif kind == 'remove':
        del content[place:place + length]
    elif kind == 'repeat':
        content[place:place] = part * rng.choice((1, 1, 2, 50))
    elif kind == 'swap':
        second = _place(rng, content)
        content[place:place + length], content[second:second + length] = content[second:second + length], part
    elif kind == 'splice':
        content[place:place + rng.randint(0, 200)] = other[start:start + rng.randint(1, 200)]
    else:
        content[place:] = other[start:]


def damage(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes] = ()) -> bytes:
    """One of the files, damaged in one to three places; parts of `others` may be spliced in too."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if content:
            _damage_once(rng, content, rng.choice([*seeds, *others]))
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


# What stands where something else belongs, in JSON and in dicts of arrays.
ODD = (None, True, 0, -1, -0.5, 1e9, 1e308, 1 << 70, float('nan'), float('inf'), '', '../x', 'é\n', '9' * 5000, [], {},
       [[]], [None], {'a': 1})
ODD_ARRAYS: tuple[Callable[[np.ndarray], Any], ...] = (
    lambda array: array[:0], lambda array: array[..., :1], lambda array: array[::-1, ::2], lambda array: array.T,
    lambda array: array[None], lambda array: array.reshape(-1), lambda array: array * 1e3, lambda array: array * 1e30,
    lambda array: array * np.nan, lambda array: array / 1000, lambda array: array.astype('>f8'),
    lambda array: array.astype(np.float16), lambda array: array.astype(np.int8), lambda array: array.astype(object),
    lambda array: array.astype(str), lambda array: array.astype(complex), lambda array: array.astype(bool),
    lambda array: array.tolist(), lambda array: np.array(5), lambda array: np.concatenate([array, array[:1]]))


def damage_tree(rng: random.Random, tree: Any) -> Any:
    """Nested dicts, lists and arrays with something replaced, lost, repeated or put in another place."""
    root = [tree]
    for _ in range(rng.choice((1, 1, 2, 3))):
        parent, key = _branch(rng, root)
        value, kind = parent[key], rng.randrange(6)
        if isinstance(value, np.ndarray) and value.ndim > 1 and value.dtype.kind in 'fi' and kind < 5:
            with np.errstate(all='ignore'), warnings.catch_warnings():
                warnings.simplefilter('ignore')
                parent[key] = rng.choice(ODD_ARRAYS)(value)
        elif kind == 0 and parent is not root:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent[key:key] = [value] * rng.choice((1, 1, 50))
        elif kind == 2:
            parent[key] = [value] * rng.choice((1, 2))
        elif kind == 3:
            other, place = _branch(rng, root)
            parent[key] = copy.deepcopy(other[place])
        elif kind == 4 and isinstance(value, int | float):
            parent[key] = rng.choice((-value, value * 1000, value / 1000, str(value)))
        else:
            parent[key] = copy.deepcopy(rng.choice(ODD))
    return root[0]


def _branch(rng: random.Random, root: list) -> tuple[Any, Any]:
    """A container somewhere in a tree, and a key of it."""
    parent, key = root, 0
    while rng.random() < 0.85 and isinstance(parent[key], dict | list) and parent[key]:
        parent = parent[key]
        key = rng.choice(list(parent)) if isinstance(parent, dict) else rng.randrange(len(parent))
    return parent, key


def damage_json(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes] = ()) -> bytes:
    """As `damage`, mostly of the content, so that it is JSON still."""
    if rng.random() < 0.25:
        return damage(rng, seeds, others)
    return json.dumps(damage_tree(rng, json.loads(rng.choice(seeds)))).encode()


def pickled_entries(**entries: Any) -> bytes:
    """The argument of `damage_entries` for a file of these entries."""
    return pickle.dumps(entries)


def damage_entries(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes] = ()) -> bytes:
    return pickle.dumps(damage_tree(rng, pickle.loads(rng.choice(seeds))))


def npz_of(pickled: bytes) -> bytes:
    """An `.npz` of the entries."""
    content, buffer = pickle.loads(pickled), io.BytesIO()
    entries = {}
    for name, value in (content if isinstance(content, dict) else {'x': content}).items():
        entries[str(name)] = value if isinstance(value, np.ndarray) else np.empty((), object)
        if not isinstance(value, np.ndarray):
            entries[str(name)][()] = value
    np.savez(buffer, **entries)
    return buffer.getvalue()
