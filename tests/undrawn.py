"""Reports, cards and notebooks whose figures are made but not drawn: to draw those of a toy search takes longer.

All else of a page is written as ever, and so are the files of its figures. Tests that look at pictures draw them;
`make verify` draws all of them everywhere.
"""

from contextlib import contextmanager
from unittest.mock import patch

from netwright.report import files
from tests.verified import IS_VERIFIED

REAL = {"png": files.png, "svg": files.svg}
EMPTY = {
    "png": lambda figure: b"\x89PNG\r\n\x1a\n",
    "svg": lambda figure, salt: '<svg xmlns="http://www.w3.org/2000/svg" width="432pt" height="252pt"></svg>\n',
}


@contextmanager
def figures(is_drawn: bool = False):
    """Within it figures are empty, or, inside of that, drawn after all."""
    with patch.multiple(files, **(REAL if is_drawn or IS_VERIFIED else EMPTY)):
        yield
