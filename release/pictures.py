"""`python -m release.pictures RUN LOG`: the README's two pictures, of a run and of what it printed, for 400 pixels.

`docs/images/terminal.svg` shows what a command printed, in so few columns that its letters have 10 pixels where the
picture has 400. Of the lines that tell the time it has the last of each stage, and some that tell little are left out.
`docs/images/report.png` is the beginning of the page of that run, as a phone shows it, taken by a Chromium that is on
the machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from io import BytesIO, StringIO
from itertools import groupby
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from release.environments import Failed

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLUMNS = 62
TOLD = re.compile(r"(?P<stage>search|contest), .* to go; ")  # of a line that tells the time
LEFT_OUT = (
    "memory: ",
    "measuring ",
    "workers were busy ",
    "nothing is distilled",
    "writing ",
    "checking ",
    "test_accuracy: ",
)
COUNTED = re.compile(r"\d+ (full trainings|trials finished)")
LOUD = ("$ ", "best: ", "decided ", "searched network ", "plain residual network ")
WIDTH, HEIGHT, DENSITY = 400, 775, 2  # of the page, in pixels of a style sheet, and pixels of the picture in each
# a narrower window than 500 is not to be had; the page lies in a frame of its own within one
FRAME = '<body style="margin:0"><iframe src="{}" style="border:0;width:{}px;height:{}px"></iframe>'


def printed(text: str, command: str) -> list[str]:
    """The lines of a terminal: the command, and what it printed, without what pip and make said before.

    Raises:
        Failed: The command is not among the lines.
    """
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if line.endswith(command)]
    if not places:
        raise Failed(f"no line of the log ends with {command!r}")
    rest = lines[places[-1] + 1 :]
    kept: list[str] = []
    for stage, same in groupby(rest, key=_stage):
        told = [line for line in same if not line.startswith(LEFT_OUT) and not COUNTED.match(line)]
        kept += told[-1:] if stage else told
    return [f"$ {command}", *kept]


def _stage(line: str) -> str:
    """The stage of which a line tells the time; "": it tells something else."""
    found = TOLD.match(line)
    return found["stage"] if found else ""


def terminal(lines: list[str]) -> str:
    """An SVG picture of a terminal in which the lines stand."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text(line, style="bold" if line.startswith(LOUD) else ""))
    svg = console.export_svg(title="netwright")
    without = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # nothing is fetched
    return without.replace("Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace")


def beginning(page: Path, browser: str) -> bytes:
    """The first HEIGHT pixels of a page on a screen of WIDTH, as PNG.

    Raises:
        Failed: The browser cannot be started, or took no picture.
    """
    with tempfile.TemporaryDirectory() as folder:
        frame, taken = Path(folder, "frame.html"), Path(folder, "taken.png")
        frame.write_text(FRAME.format(page.absolute().as_uri(), WIDTH, HEIGHT))
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
        words += [
            f"--force-device-scale-factor={DENSITY}",
            f"--window-size=500,{HEIGHT}",
            f"--user-data-dir={folder}/b",
        ]
        words += ["--blink-settings=preferredColorScheme=1", f"--screenshot={taken}", frame.as_uri()]
        try:
            subprocess.run([browser, *words], check=True, capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"{browser} took no picture: {error}; give another one by --browser") from error
        buffer = BytesIO()
        with Image.open(taken) as image:
            image.convert("RGB").crop((0, 0, WIDTH * DENSITY, HEIGHT * DENSITY)).quantize(128).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    """Writes both pictures."""
    parser = argparse.ArgumentParser(prog="python -m release.pictures", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run, with its report.html")
    parser.add_argument("log", type=Path, help="what its command printed")
    parser.add_argument("--command", default="netwright search digits --hours 0.1 --out runs/digits")
    parser.add_argument("--browser", default="chromium", help="how Chromium is called here")
    options = parser.parse_args()
    try:
        drawn = terminal(printed(options.log.read_text(encoding="utf-8"), options.command))
        taken = beginning(options.run / "report.html", options.browser)
    except (OSError, Failed) as error:
        sys.exit(f"pictures: {error}")
    (IMAGES / "terminal.svg").write_text(drawn, encoding="utf-8")
    (IMAGES / "report.png").write_bytes(taken)


if __name__ == "__main__":
    main()
