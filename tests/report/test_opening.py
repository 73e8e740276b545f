"""What stands first on a page, and the commands that lead on."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netwright.core.baselines import Baseline
from netwright.core.finals import RESIDUAL
from netwright.core.records import IO
from netwright.report import opening
from netwright.report.page import write
from tests.report.test_page import read, reported, rows, trained_in_full

PLACE = Path("/runs/my photos")
FOUND = trained_in_full(params=52_000, trial_id=9, sd=0.002, n=3)
PLAIN = trained_in_full(RESIDUAL, trial_id=None, params=51_000, mean=0.8, sd=0.002, n=3, reference=True)


def of(**settings):
    run = replace(reported(rows(3), command="netwright search photos"), place=PLACE, **settings)
    return opening.section([run], run, "")


def commands(text):
    return [html.unescape(re.sub("</?span[^>]*>", "", each)) for each in re.findall(r"<pre>(.*?)</pre>", text)]


def test_verdict_tested_accuracy_and_plain_network_come_first(tmp_path):
    text = of(finals=(FOUND, PLAIN))
    assert text.index("<h2>Verdict</h2>") < text.index("The search paid") < text.index("<dl")
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    assert tiles[:3] == [("test accuracy", "90.00 %"), ("of the plain network", "80.00 %"), ("parameters", "52,000")]
    page = " ".join(read(write(tmp_path, [reported(rows(3), finals=(FOUND, PLAIN))])).text)
    assert page.index("Verdict") < page.index("Best architecture") < page.index("Trained in full")


def test_what_decided_may_be_another_metric_than_the_accuracy_that_everybody_asks_for():
    balanced = replace(FOUND, objective=replace(FOUND.objective, name="test_balanced_accuracy"), accuracy=0.95)
    assert ("test accuracy", "95.00 %") in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", of(finals=(balanced,)))


def test_what_a_constant_answer_gives_stands_beside_what_was_tested():
    known = Baseline("test_accuracy", 0.9, "the largest class is 90.00 % of it", "no better than naming it always")
    text = of(finals=(replace(FOUND, baselines=(known,)),))
    assert "Test accuracy: 90.00 % (the largest class is 90.00 % of it: no better than naming it always)." in text


def test_nothing_tested_yet_is_said():
    assert "Best valid accuracy: 50.30 % (higher is better). The network is not tested yet." in of()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["netwright train '/runs/my photos'"]),
        (
            {"finals": (FOUND, PLAIN)},
            [
                "netwright export '/runs/my photos' --out '/runs/my photos/export'",
                "netwright train '/runs/my photos' --trial 9 --repeats 3",
            ],
        ),
        (
            {"finals": (PLAIN,), "shipped": PLAIN, "export": PLACE / "export", "io": IO(3, 8, 8, 2)},
            [
                "netwright predict '/runs/my photos/export' IMAGES",
                "netwright export '/runs/my photos' --out '/runs/my photos/export-onnx' --onnx",
            ],
        ),
        (  # `train` would not repeat what a contest trained
            {"finals": (FOUND, PLAIN), "shipped": FOUND},
            ["netwright export '/runs/my photos' --out '/runs/my photos/export'"],
        ),
    ],
    ids=["searched", "trained", "reference shipped", "searched one shipped"],
)
def test_the_next_commands_are_those_of_this_run(settings, expected):
    assert commands(of(**settings)) == expected


def test_a_run_without_success_goes_on_and_one_without_a_folder_has_no_commands():
    run = replace(reported([], command="netwright search photos"), place=PLACE)
    assert commands(opening.section([run], run, "")) == ["netwright search photos"]
    run = replace(run, place=None)
    assert commands(opening.section([run], run, "")) == []


def test_folders_are_named_from_where_one_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = replace(reported(rows(3)), place=tmp_path / "runs" / "a")
    assert commands(opening.section([run], run, "")) == ["netwright train runs/a"]
