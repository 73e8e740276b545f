"""Where the data of a task lies and how it is kept: options that the task's plug-in states, and that are no identity.

Two tasks that differ in them alone are one task if their data is the same, which its fingerprint tells
(`protocols.HasFingerprint`), so that a run goes on where its images have moved.
"""

from __future__ import annotations

from netwright.core import refs
from netwright.core.protocols import StatesWhereabouts
from netwright.core.refs import Reference


def of(task: Reference) -> tuple[str, ...]:
    """Names of the options of a task that say where its data lies; () for a task that states none.

    Raises:
        BadReference: There is no such task.
    """
    plugin = refs.locate("task", task.name)
    return tuple(plugin.whereabouts) if isinstance(plugin, StatesWhereabouts) else ()


def without(task: Reference) -> Reference:
    """The task but for where its data lies. Raises BadReference where there is no such task."""
    names = of(task)
    return Reference(task.name, {name: value for name, value in task.options.items() if name not in names})


def differ_alone(one: Reference, other: Reference) -> bool:
    """Whether two tasks are not equal, and would be if their data lay in one place."""
    return one != other and one.name == other.name and without(one) == without(other)


def is_same_data(known: str, found: str) -> bool:
    """Whether a fingerprint that was noted is that of the data found now.

    One that was noted by an earlier release, without the part behind a dash, says nothing of what that part is of.
    """
    return found == known or ("-" not in known and found.startswith(f"{known}-"))


def is_given(task: Reference) -> bool:
    """Whether it was said where the data of a task lies, so that it may have changed there."""
    return any(task.options.get(name) is not None for name in ("path", *of(task)))
