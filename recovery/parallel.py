"""The same for several things at once."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    act: Callable[[Item], Result], items: Collection[Item], *, at_most: int | None = None
) -> tuple[Result, ...]:
    """Call ``act`` with each item, each in a thread of its own, and return the results in the order of the items.

    ``at_most`` limits how many run at a time. After an error or an interrupt no further item begins, and the error is raised
    when those that run have ended: of several errors, that of the first item.
    """
    workers = min(len(items), at_most or len(items))
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        return tuple(pool.map(act, items))
