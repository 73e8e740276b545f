"""Stored content is data: which plug-ins a run file may name before the user says that its code may run.

A reference names code. Code of this package and of installed plug-ins was chosen when it was installed, and what the
user types was chosen by typing it. All else that stands in a run file or in the table of a run's folder, whoever wrote
them, is loaded only when the user trusts it. A plug-in is installed when a distribution names its module, or one above
it, among its entry points of the group `netwright.plugins`, as in

    [project.entry-points."netwright.plugins"]
    wild = "mylab.wild"
"""

from __future__ import annotations

import functools
import re
import site
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.refs import Reference

GROUP: Final = "netwright.plugins"


@dataclass(frozen=True)
class Trust:
    """What a command may load besides the package's own plug-ins and installed ones.

    Args:
        is_full: Whether the user said that all may be loaded.
        typed: References that the user typed.
    """

    is_full: bool = False
    typed: frozenset[str] = frozenset()

    def and_typed(self, *values: Any) -> Trust:
        """This trust, and that in what the user typed later."""
        return Trust(self.is_full, self.typed.union(*map(named, values)))

    def check(self, parts: Mapping[str, Any], source: str) -> None:
        """Raise BadReference for the first reference among these parts that is not to be loaded.

        Args:
            parts: References and options by what they are for; text within options counts where it is a reference.
            source: What names them, for the message.
        """
        if self.is_full:
            return
        for part, value in parts.items():
            for name in named(value):
                if name not in self.typed and not is_installed(name):
                    raise BadReference(
                        f"{source} names {name!r} for its {part}, which is neither netwright's nor an installed "
                        "plug-in, and its code would run here; add --trust (trust=True) if you trust who wrote both"
                    )


def of_typed(*values: Any, trust: bool = False) -> Trust:
    """The trust of a user who typed these references and options, and `--trust` or not."""
    return Trust(trust).and_typed(*values)


def named(value: Any) -> Iterator[str]:
    """The import paths that references within a value name, as "mylab.wild:WildSearch"; the depth is that of the value.

    A text counts where `refs.parse` reads it as a reference, which is what a plug-in does that takes one as an option.
    """
    if isinstance(value, Reference):
        if _is_path(value.name):
            yield value.name
        yield from named(value.options)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from named(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from named(each)
    elif isinstance(value, str) and ":" in value:
        try:
            found = refs.parse(value)
        except BadReference:  # nor will a plug-in read it
            return
        yield from named(found)


def is_installed(name: str) -> bool:
    """Whether an import path leads into this package or into what an installed distribution names as its plug-ins."""
    module = name.partition(":")[0]
    return any(module == known or module.startswith(f"{known}.") for known in ("netwright", *_installed()))


@functools.cache
def _installed() -> tuple[str, ...]:
    """Modules of installed plug-ins. Folders that are merely on the path, as the current one, install nothing."""
    folders = {*site.getsitepackages(), site.getusersitepackages(), *map(sysconfig.get_path, ("purelib", "platlib"))}
    found = metadata.distributions(path=sorted(folders))
    points = [point for each in found for point in each.entry_points if point.group == GROUP]
    return tuple(sorted({point.module for point in points}))


def _is_path(name: str) -> bool:
    return re.fullmatch(refs.IMPORT_PATH, name) is not None
