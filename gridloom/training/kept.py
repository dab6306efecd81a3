"""Things kept for the next point, the oldest given up first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Traced graphs kept; the oldest goes first.
MAX_GRAPHS = 32

#: Prepared rows are kept up to this size.
MAX_KEPT_BYTES = 2**30


class Kept(Generic[T]):
    """The `MAX_GRAPHS` things used last, made at first use.

    Parameters
    ----------
    size
        Bytes of a thing; all kept but the newest have no more than `MAX_KEPT_BYTES`.
    """

    def __init__(self, size: Callable[[T], int] = lambda thing: 0) -> None:
        self._things: OrderedDict[str, T] = OrderedDict()
        self._size = size

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Return the thing of a key, made if it is not kept."""
        if key not in self._things:
            self.put(key, make())
        self._things.move_to_end(key)
        return self._things[key]

    def find(self, key: str) -> T | None:
        """Return the thing of a key; None if it is not kept."""
        if key in self._things:
            self._things.move_to_end(key)
        return self._things.get(key)

    def put(self, key: str, thing: T) -> None:
        """Keep a thing, and give up the oldest ones beyond the limits."""
        self._things[key] = thing
        while len(self._things) > MAX_GRAPHS or (
            len(self._things) > 1 and sum(map(self._size, self._things.values())) > MAX_KEPT_BYTES
        ):
            self._things.popitem(last=False)

    def clear(self) -> None:
        """Give up all."""
        self._things.clear()

    def __len__(self) -> int:
        return len(self._things)
