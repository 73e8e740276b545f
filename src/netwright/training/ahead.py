"""Batches that a thread makes ahead of time, so that the device need not wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

COUNT = 2  # batches that are made ahead

T = TypeVar("T")
_END: Any = object()


@contextmanager
def ahead(items: Iterator[T], count: int = COUNT) -> Iterator[Iterator[T]]:
    """The same items in the same order; a thread makes up to `count` of them before they are asked for.

    An error in making an item is raised where the item would have come. The thread ends with the block, once the item
    that it is making is done.
    """
    pool = ThreadPoolExecutor(1, "batches")
    try:
        yield _drawn(items, pool, count)
    finally:
        pool.shutdown(cancel_futures=True)


def _drawn(items: Iterator[T], pool: ThreadPoolExecutor, count: int) -> Iterator[T]:
    waiting = deque(pool.submit(next, items, _END) for _ in range(count))
    while (item := waiting.popleft().result()) is not _END:
        waiting.append(pool.submit(next, items, _END))
        yield item
