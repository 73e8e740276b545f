import re

import pytest

from release import pictures
from release.environments import Failed

LOG = """python3 -m venv .venv
.venv/bin/netwright search digits --out runs/digits
the task digits: handwritten digits
search, 2 min 0 s to go; 1 finished
search, 1 min 0 s to go; 2 finished
memory: up to about 0.3 GB a worker
best: trial 2, valid_accuracy 0.9917
contest, 3 min 0 s to go
report: runs/digits/report.html
"""
COMMAND = "netwright search digits --out runs/digits"


def test_of_lines_that_tell_the_time_the_last_of_each_stage_is_shown():
    assert pictures.printed(LOG, COMMAND) == [
        f"$ {COMMAND}",
        "the task digits: handwritten digits",
        "search, 1 min 0 s to go; 2 finished",
        "best: trial 2, valid_accuracy 0.9917",
        "contest, 3 min 0 s to go",
        "report: runs/digits/report.html",
    ]
    with pytest.raises(Failed, match="no line of the log ends with 'another'"):
        pictures.printed(LOG, "another")


@pytest.mark.parametrize("svg", [pictures.terminal(["$ a command", "word " * 40]), None], ids=["made", "README's"])
def test_letters_of_the_terminal_have_ten_pixels_where_the_picture_has_400(svg):
    svg = svg or (pictures.IMAGES / "terminal.svg").read_text(encoding="utf-8")
    [width] = re.findall(r'<svg[^>]*viewBox="0 0 ([\d.]+) ', svg)
    [size] = re.findall(r"-matrix \{.*?font-size: (\d+)px", svg, re.DOTALL)
    assert float(size) * 400 / float(width) >= 10
    assert "@font-face" not in svg and "url(http" not in svg, "nothing is fetched"


def test_without_a_browser_it_is_said(tmp_path):
    (tmp_path / "report.html").write_text("<p>a page")
    with pytest.raises(Failed, match="nobrowser took no picture"):
        pictures.beginning(tmp_path / "report.html", "nobrowser")
