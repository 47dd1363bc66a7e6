"""Skeletons: named joints, the tree of their parents, and which joints lie left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Attributes:
        names: (J,) joint names; empty where a joint has none.
        parents: (J,) index of each joint's parent, -1 for the root.
        left, right: indices of the left and right joints, in matching order.
        groups: joints that the non-local block pools together, each joint in one group. By default they are found from
            the tree, see `pooling_groups`.
    Raises:
        ValueError: the joints do not form one tree, or left, right or groups do not fit them.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        joints = range(len(self.parents))
        if len(self.names) != len(self.parents) or list(self.parents).count(-1) != 1:
            raise ValueError(f'{len(self.names)} names and {len(self.parents)} parents, of which one must be -1')
        if not set(self.parents) <= {-1, *joints} or any(self.ancestors(joint)[-1] != self.root for joint in joints):
            raise ValueError('parents do not lead every joint to the root')
        sides = (*self.left, *self.right)
        if len(self.left) != len(self.right) or len(set(sides)) < len(sides) or not set(sides) <= set(joints):
            raise ValueError('left and right must name the same number of joints, none of them twice')
        if not self.groups:
            object.__setattr__(self, 'groups', self.pooling_groups())
        if sorted(joint for group in self.groups for joint in group) != list(joints):
            raise ValueError('groups must name every joint once')

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def root(self) -> int:
        return self.parents.index(-1)

    @property
    def bones(self) -> list[tuple[int, int]]:
        """(parent, child) of every bone."""
        return [(parent, child) for child, parent in enumerate(self.parents) if parent >= 0]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for files; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Skeleton:
        """The skeleton of `as_dict`, where tuples may have become lists.

        Raises:
            ValueError: the content is not a skeleton.
        """
        try:
            flat = {name: tuple(content[name]) for name in ('names', 'parents', 'left', 'right')}
            groups = tuple(tuple(group) for group in content['groups'])
            if not {str} >= set(map(type, flat['names'])) or not {int} >= set(map(type, flat['parents'])):
                raise ValueError('names must be texts and parents whole numbers')
            return cls(**flat, groups=groups)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f'it is not a skeleton: {error!r}') from error

    def keep(self, kept: Sequence[int], new_parents: dict[int, int] | None = None) -> Skeleton:
        """The skeleton of some of the joints, each attached to its nearest kept ancestor.

        Args:
            kept: the joints to keep, in their new order.
            new_parents: further re-attachments {joint: parent}, in old indices.
        """
        tree = Skeleton(self.names, tuple((new_parents or {}).get(*pair) for pair in enumerate(self.parents)))
        position = {joint: index for index, joint in enumerate(kept)}
        parents = (next((position[above] for above in tree.ancestors(joint)[1:] if above in position), -1)
                   for joint in kept)
        sides = [(position[one], position[two]) for one, two in zip(self.left, self.right)
                 if one in position and two in position]
        return Skeleton(tuple(self.names[joint] for joint in kept), tuple(parents),
                        tuple(left for left, _ in sides), tuple(right for _, right in sides))

    def pooling_groups(self) -> tuple[tuple[int, ...], ...]:
        """Groups of two where joints pair up, as in the published skeleton of 16 joints.

        From the ends of limbs and trunk upwards, a joint pairs with its parent if both are on the same side. Left and
        right joints that remain pair with each other. What still remains is a group of one.
        """
        side = {**dict.fromkeys(self.left, 'left'), **dict.fromkeys(self.right, 'right')}
        group: dict[int, tuple[int, ...]] = {}

        def join(*joints: int) -> None:
            if not group.keys() & set(joints):
                group.update(dict.fromkeys(joints, joints))

        for joint in sorted(range(len(self)), key=lambda joint: len(self.ancestors(joint)), reverse=True):
            parent = self.parents[joint]
            if parent >= 0 and side.get(parent) == side.get(joint):
                join(parent, joint)
        for left, right in zip(self.left, self.right):
            join(left, right)
        for joint in range(len(self)):
            join(joint)
        return tuple(dict.fromkeys(group.values()))

    def ancestors(self, joint: int) -> list[int]:
        """The joint, its parent and so on up to the root; at most J joints, even if the parents form a cycle."""
        path = [joint]
        while self.parents[path[-1]] >= 0 and len(path) < len(self):
            path.append(self.parents[path[-1]])
        return path
