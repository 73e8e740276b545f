"""A bar and a table in a notebook, one output that is drawn again and again. IPython is there where a notebook is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = "font-family:sans-serif;max-width:46em;overflow-wrap:anywhere"


class Output:
    """An output of the cell that runs.

    Args:
        title: What is searched.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        from IPython import display

        self._display = display
        self._handle: Any = None

    def show(self, facts: Sequence[tuple[str, str]], done: int, total: int | None) -> None:
        """Show facts by name, and how many trials are done of how many; None: another limit ends the search."""
        made = self._display.HTML(html(self._title, facts, done, total))
        if self._handle is None:
            self._handle = self._display.display(made, display_id=True)
        else:
            self._handle.update(made)


def html(title: str, facts: Sequence[tuple[str, str]], done: int, total: int | None) -> str:
    """The output; see `Output.show`."""
    bar = f'<progress style="width:100%" value="{min(done, total)}" max="{total}"></progress>' if total else ""
    rows = "".join(
        f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in facts
    )
    return f'<div style="{_STYLE}"><b>{escape(title)}</b>{bar}<table>{rows}</table></div>'
