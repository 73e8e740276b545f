"""Checks of options that several tasks have: each refusal names the option, its value and what it may be."""

from __future__ import annotations

from netwright.core.errors import BadReference


def check_least(**least: tuple[float, float]) -> None:
    """Raise BadReference for an option, given as (value, least value), that is too small."""
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise BadReference(f"task.{name} is {value}; it must be at least {smallest}")


def checked_shares(valid: float, test: float) -> dict[str, float]:
    """Both shares by split. Raises BadReference unless they are shares and leave something to train on."""
    for name, share in (("valid", valid), ("test", test)):
        if not 0 < share < 1:
            raise BadReference(f"task.{name} is {share}; it must be a share of the images, between 0 and 1")
    if valid + test >= 1:
        raise BadReference(f"task.valid and task.test are {valid} and {test}; their sum must be below 1")
    return {"valid": valid, "test": test}


def check_limit(limit: int | None, classes: int) -> None:
    """Raise BadReference for a `train_limit` that leaves a class without an image to validate or to test."""
    if limit is not None and limit < 5 * classes:
        raise BadReference(f"task.train_limit is {limit}; it must be at least {5 * classes}, five images per class")
