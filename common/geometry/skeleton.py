"""What a skeleton is: named joints, the tree of their parents, and which lie left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Attributes:
        names: (J,) joint names; empty where a joint has none.
        parents: (J,) index of each joint's parent, -1 for the root.
        left, right: indices of the left and right joints, in matching order.
        pairs: joints that the non-local block pools together.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def bones(self) -> list[tuple[int, int]]:
        """(parent, child) of every bone."""
        return [(parent, child) for child, parent in enumerate(self.parents) if parent >= 0]

    def keep(self, kept: Sequence[int], new_parents: dict[int, int] | None = None) -> Skeleton:
        """The skeleton of some of the joints, each attached to its nearest kept ancestor.

        Args:
            kept: the joints to keep, in their new order.
            new_parents: further re-attachments {joint: parent}, in old indices.
        """
        parents = list(self.parents)
        for joint, parent in (new_parents or {}).items():
            parents[joint] = parent
        position = {joint: index for index, joint in enumerate(kept)}

        def nearest_kept(joint: int) -> int:
            parent = parents[joint]
            while parent >= 0 and parent not in position:
                parent = parents[parent]
            return position.get(parent, -1)

        return Skeleton(tuple(self.names[joint] for joint in kept), tuple(nearest_kept(joint) for joint in kept),
                        tuple(position[joint] for joint in self.left if joint in position),
                        tuple(position[joint] for joint in self.right if joint in position))
