"""A cache for what later points can reuse, which drops the least recently used first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Most things in a cache, such as traced graphs.
MAX_GRAPHS = 32

#: Largest size of the prepared rows in a cache.
MAX_KEPT_BYTES = 2**30


class Kept(Generic[T]):
    """The `MAX_GRAPHS` things that were used last, each made at first use.

    Parameters
    ----------
    size
        Returns the bytes of a thing. If all together exceed `MAX_KEPT_BYTES`, the oldest are
        dropped; the newest always stays.
    """

    def __init__(self, size: Callable[[T], int] = lambda thing: 0) -> None:
        self._things: OrderedDict[str, T] = OrderedDict()
        self._size = size

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Return the thing of a key; make it if it is not kept."""
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
        """Keep a thing, and drop the oldest ones beyond the limits."""
        self._things[key] = thing
        while len(self._things) > MAX_GRAPHS or (
            len(self._things) > 1 and sum(map(self._size, self._things.values())) > MAX_KEPT_BYTES
        ):
            self._things.popitem(last=False)

    def __len__(self) -> int:
        return len(self._things)
