"""What a shell completes besides commands and declared options: names of plug-ins, and options as --space.channels.

Typer writes the scripts for bash, zsh, fish and PowerShell (`netwright --install-completion`); this says what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand

from netwright.cli import options
from netwright.core import refs
from netwright.core.errors import NetwrightError
from netwright.core.kinds import FOLDERS

Words = list[tuple[str, str]]  # words and what they mean


class DottedCommand(TyperCommand):
    """A command whose options --SECTION.OPTION, which it does not declare, are completed too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leave these options out where a line is read only to be completed."""
        return super().parse_args(ctx, options.split_unfinished(args) if ctx.resilient_parsing else args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The options that begin so: declared ones, sections, and, behind the dot, those of the plug-in."""
        section, has_dot, _ = incomplete.removeprefix("--").partition(".")
        declared = super().shell_complete(ctx, "--" if has_dot else incomplete)
        if not incomplete.startswith("--") or not declared:
            return declared
        item = type(declared[0])  # of click, or of what typer has in its place
        if not has_dot:
            return declared
        return [
            item(f"--{section}.{name}", help=sentence)
            for name, sentence in self._dotted(ctx, section)
            if f"--{section}.{name}".startswith(incomplete)
        ]

    def _dotted(self, ctx: Any, section: str) -> Iterator[tuple[str, str]]:
        from netwright.cli import section_help

        if section not in options.SECTIONS_OF.get(self.name or "", ()):
            return
        yield options.HELP, "List these options."
        try:
            found = section_help.named(section, ctx.params).options
        except NetwrightError:
            return
        yield from ((option.name, option.sentence) for option in found)


def plugins(kind: str) -> Callable[[str], Words]:
    """Completes the names of a kind."""

    def complete(incomplete: str) -> Words:
        return [(name, summary) for name, summary in refs.available(kind).items() if name.startswith(incomplete)]

    return complete


def kinds(incomplete: str) -> Words:
    """Completes the kinds of plug-ins."""
    return [(folder, "") for folder in FOLDERS.values() if folder.startswith(incomplete)]


def of_kind(ctx: typer.Context, incomplete: str) -> Words:
    """Completes the names of the kind that `netwright list` was given."""
    by_folder = {folder: kind for kind, folder in FOLDERS.items()}
    kind = by_folder.get(ctx.params.get("kind") or "")
    return plugins(kind)(incomplete) if kind else []
