"""Left and right joints: recognised from their names, and checked against names, tree and bone lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from common.geometry.skeleton import Skeleton

# LHip, l_hip, Hip.L, kneeL, thigh.L.001, 'Bip01 L Thigh', lfemur; the words left and right may stand anywhere.
_LETTER = re.compile(r'^[lL](?=.)|(?<=.)[lL]$|(?<![A-Za-z])[lL](?![a-z])|(?<=[a-z])L(?![a-z])')
_WORD = re.compile('left', re.IGNORECASE)


def pairs_of_names(names: Sequence[str]) -> list[tuple[int, int]]:
    """(left, right) of every two joints whose names differ by their side alone, in all usual spellings.

    A name is a left one only if the same name with the other side is there too, so that `lowerback` has no side.
    """
    place = {name.lower(): joint for joint, name in enumerate(names)}
    pairs = []
    for joint, name in enumerate(names):
        others = [place[right] for right in _other_side(name) if right in place]
        pairs += [(joint, other) for other in others[:1]]
    return pairs


def _other_side(name: str) -> Iterator[str]:
    """The names that have right where this one has left, in lower case."""
    for pattern, right in ((_WORD, 'right'), (_LETTER, 'r')):
        for match in pattern.finditer(name):
            yield (name[:match.start()] + right + name[match.end():]).lower()


def check_names(names: Sequence[str], left: Sequence[int], right: Sequence[int]) -> None:
    """Refuse sides that contradict the names of the joints.

    Raises:
        ValueError: it names the joints.
    """
    for one, two in pairs_of_names(names):
        for joint, side in ((one, left), (two, right)):
            if joint not in side:
                raise ValueError(f'joint {joint} is called {names[joint]}, and joints_left and joints_right do not say '
                                 f'so')
        if list(left).index(one) != list(right).index(two):
            partner = names[right[list(left).index(one)]] if list(left).index(one) < len(right) else 'nothing'
            raise ValueError(f'joints_left and joints_right pair {names[one]} with {partner}: list both sides in the '
                             f'same order')


def check_tree(skeleton: Skeleton) -> None:
    """Refuse sides that are not mirror images of each other in the tree.

    Raises:
        ValueError: it names the joints.
    """
    names, left, right = skeleton.names, skeleton.left, skeleton.right
    mirrored = {**dict(zip(left, right)), **dict(zip(right, left))}
    for one, two in zip(left, right):
        above = [[joint for joint in skeleton.ancestors(each)[1:] if joint in mirrored] for each in (one, two)]
        if [mirrored[joint] for joint in above[0]] != above[1]:
            raise ValueError(f'joints_left and joints_right pair {names[one]} with {names[two]}, whose ancestors are '
                             f'not pairs: list both sides in the same order, and check parents')
