"""Cells of `benchmarks/tonight.py`: which come, what they run, what is kept of them."""

import json
import os
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tonight import cells, data, plain, reference
from benchmarks.tonight.cells import COLUMNS, Cell, Line, Playing
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice, Integer
from netwright.data import outcome
from netwright.runs.timed import probe
from netwright.runs.timed.timetable import Speed
from netwright.runs.timed.wish import NO_SETTINGS

CELLS = cells.listed(COLUMNS, COLUMNS, data.REPORTED, 3)


@given(st.lists(st.booleans(), max_size=70))
def test_which_images_are_right_is_kept(right):
    assert cells.unpacked(cells.packed(np.array(right, bool))).tolist() == right


def test_what_the_criteria_need_most_comes_first_and_seeds_side_by_side():
    assert [cell.column for cell in CELLS[:3]] == ["P0", "netwright", "P1-choice"]
    assert {cell.data for cell in CELLS[:5]} == {"digits", "characters"}
    groups = [COLUMNS[cell.column].group for cell in CELLS]
    assert groups == sorted(groups) and len(set(CELLS)) == len(CELLS)
    assert sum(cell.column == "P1-choice" for cell in CELLS) == len(data.REPORTED)


@given(st.sets(st.sampled_from(CELLS)), st.floats(0, 3000))
def test_a_cell_fits_the_time_and_has_what_it_needs(done, left):
    waiting = [cell for cell in CELLS if cell not in done]
    found = cells.upcoming(waiting, done, COLUMNS, 600, left)
    if found is None:
        assert left < 680 or all(COLUMNS[cell.column].needs for cell in waiting)
    else:
        assert cells.expected(COLUMNS[found.column], 600) <= left
        assert found.column != "P1" or Cell(found.data, "P1-choice", 0) in done
        assert found.column != "no-contest" or Cell(found.data, "netwright", found.seed) in done


def test_results_are_gone_on_with_behind_a_line_that_was_cut(tmp_path):
    path = tmp_path / "lines.jsonl"
    first = Line("digits", "P0", 0, 600, 601, 0.5, 0.5, 10, cells.packed(np.ones(3, bool)), {"steps": 3})
    cells.append(path, first)
    path.write_text(path.read_text() + '{"data": "dig')
    cells.append(path, replace(first, accuracy=0.75))
    cells.append(path, replace(first, seed=1, failed="exit code 1"))
    cells.append(path, replace(first, seed=2, seconds=5))
    assert len(cells.read(path)) == 4
    assert cells.latest(cells.read(path), 600) == {Cell("digits", "P0", 0): replace(first, accuracy=0.75)}


def test_lines_of_other_images_do_not_count():
    """Letters are drawn by what fonts and libraries there are: labels and numbers would not tell."""
    lines = [Line(name, "P0", 0, 600, 601, 0.5, 0.5, digest="old") for name in ("characters", "gray90")]
    assert {cell.data for cell in cells.latest(lines, 600, {"characters": "new"})} == {"gray90"}
    assert len(cells.latest(lines, 600, {"characters": "old"})) == len(cells.latest(lines, 600)) == 2


def test_a_cell_that_took_too_long_is_remembered_beside_its_later_try():
    late = Line("digits", "netwright", 1, 600, 1020, failed="took too long: said this")
    other = replace(late, seed=2, failed="exit code 1: took too long")
    lines = [late, replace(late, failed="", accuracy=0.9), other, replace(late, seconds=60, seed=0)]
    assert cells.overran(lines, 600) == [Cell("digits", "netwright", 1)]


@pytest.mark.parametrize(
    ("column", "name", "words"),
    [
        ("P0", "digits", "--no-flip"),
        ("P0-50k", "cifar4to7", "--params 50000"),
        ("netwright", "digits", "search digits --hours 0.166667 --workers 1 --seed 7 --json"),
        ("netwright", "gray90", "search {folder}/gray90 --hours"),
        ("netwright", "characters", "search {folder}/characters-arrays.npz --hours"),
        ("no-genes", "cifar4to7", f"--space.with {NO_SETTINGS}"),
        ("netwright-50k", "cifar4to7", "--constraint params <= 50000"),
        ("P1", "gray90", '--choice {{"rate": 2.0}}'),
    ],
)
def test_what_a_cell_runs(tmp_path, column, name, words):
    cell = Cell(name, column, 7)
    before = Line(name, "P1-choice", 0, 600, 600, facts={"choice": {"rate": 2.0}}) if column == "P1" else None
    line = cells.command(cell, COLUMNS[column], tmp_path, tmp_path / "out", 600, before, "netwright")
    assert words.format(folder=tmp_path) in " ".join(line)
    assert ("--no-flip" in line) == (column == "P0" and name in ("digits", "characters"))


TIMETABLE = {
    "hours": 1 / 6,
    "workers": 1,
    "splits": 3,
    "finalists": 2,
    "rungs": [4, 12],
    "search_seconds": 140.0,
    "contest_seconds": 400.0,
    "rank_seconds": 46.0,
    "final_seconds": 130.0,
    "played": {"trials": 5},
    "heats": [{"name": "final", "keys": ["a"], "repeats": 1, "budget": 9, "ends": [[[[5, 9]]]]}],
}


def test_without_a_contest_the_search_has_its_time_and_decides(tmp_path):
    before = Line("cifar4to7", "netwright", 1, 600, 600, facts={"timetable": TIMETABLE})
    cell = Cell("cifar4to7", "no-contest", 1)
    assert COLUMNS["no-contest"].needed(cell) == before.cell
    words = cells.command(cell, COLUMNS["no-contest"], tmp_path, tmp_path, 600, before, "netwright")
    assert words[-2:] == ["--timetable", str(tmp_path / "timetable.toml")]
    changed = tomllib.loads((tmp_path / "timetable.toml").read_text())
    assert changed["search_seconds"] == 510 and changed["contest_seconds"] == 30
    assert not changed.keys() & {"played", "heats"}, "nothing is repeated"
    assert changed["rungs"] == [4, 12, 36] and changed["finalists"] == 1 and changed["rank_seconds"] < 1


def _played(cell, words, out, limit=60.0):
    out.mkdir()
    playing = Playing(cell, words, out, ())
    while not playing.ended(limit):
        pass
    return playing


def test_a_search_on_two_cores_has_two_workers(tmp_path):
    column = COLUMNS["two-cores"]
    words = cells.command(Cell("cifar5000", "two-cores", 1), column, tmp_path, tmp_path, 600, None, "netwright")
    assert words[words.index("--workers") + 1] == str(column.cores) == "2"
    assert all(each.cores == 1 for name, each in COLUMNS.items() if name != "two-cores")


def test_what_failed_says_why(tmp_path):
    cell = Cell("digits", "P0", 0)
    where = tmp_path / "a"
    bad = _played(cell, [sys.executable, "-S", "-c", f"raise SystemExit('no such thing in {where}')"], where)
    assert bad.line(600, tmp_path, {}).failed == "exit code 1: no such thing in CELL"
    slow = _played(cell, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], tmp_path / "b", limit=0.1)
    assert slow.line(600, tmp_path, {}).failed.startswith("took too long")


def test_a_search_is_known_by_what_it_prints_and_leaves(tmp_path, monkeypatch):
    labels = np.array([0, 0, 0, 1] * 2)
    split = np.array([0] * 4 + [2] * 4, np.uint8)
    np.savez(tmp_path / "gray90.npz", images=np.zeros((8, 2, 2, 1), np.uint8), labels=labels, split=split)
    for folder, predictions in (("reference", [0, 0, 0, 0]), ("winner", [0, 0, 1, 1]), ("other", [0, 1])):
        place = tmp_path / "out" / "run" / folder
        place.mkdir(parents=True)
        found = np.array(predictions)
        none, empty = np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int64)
        told = outcome.Outcome(
            labels[: len(found)], found, np.zeros(len(found), np.float32), none, empty, (), ("a", "b")
        )
        (place / outcome.OUTCOME).write_bytes(outcome.to_bytes(told))
    facts = {"test_accuracy": 0.8333333, "metric": "test_balanced_accuracy", "params": 5, "export": "/home"}
    (tmp_path / "out" / "run" / "timetable.toml").write_text("hours = 0.5\n")
    found = cells.outcome(Cell("gray90", "netwright", 0), facts, tmp_path / "out", tmp_path)
    assert cells.unpacked(found["right"]).tolist() == [True, True, False, True]
    assert found["accuracy"] == 0.75 and found["balanced"] == pytest.approx(5 / 6) and found["params"] == 5
    assert found["facts"] == {name: facts[name] for name in ("test_accuracy", "metric", "params")} | {
        "timetable": {"hours": 0.5}
    }
    facts["test_accuracy"] = 0.9  # of a network that left no outcome
    found = cells.outcome(Cell("gray90", "netwright", 0), facts, tmp_path / "out", tmp_path)
    assert "right" not in found and "accuracy" not in found and found["balanced"] == 0.9


def test_the_plain_baseline_keeps_which_images_are_right(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = (labels[:, None, None, None] * 80 + rng.integers(0, 20, (90, 8, 8, 1))).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", images=images, labels=labels, split=np.repeat([0, 2], [70, 20]).astype(np.uint8))
    words = ["plain", str(tmp_path / "right.npy"), str(tmp_path / "tiny.npz"), "--seconds", "0", "--width", "2"]
    monkeypatch.setattr(sys, "argv", words)
    plain.main()
    facts, right = json.loads(capsys.readouterr().out), np.load(tmp_path / "right.npy")
    assert right.shape == (20,) and right.mean() == pytest.approx(facts["test_accuracy"])


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_p1_chooses_the_best_of_what_it_tries_and_tries_the_fixed_settings(values):
    left = list(values)
    best, found = reference.choose(lambda choice: left.pop(0))
    assert found[0][0] == {"rate": 1.0, "width": 1.0} and len(found) <= reference.TRAININGS
    assert max(value for _, value in found) == {json.dumps(c): v for c, v in found}[json.dumps(best)]
    assert len({json.dumps(choice) for choice, _ in found}) == len(found)


def test_p1_has_the_size_of_images_that_a_timed_run_takes(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 1)).astype(np.uint8)
    made = data.Images(images, np.arange(60) % 3, np.repeat([0, 1, 2], 20).astype(np.uint8), ("a", "b", "c"))
    monkeypatch.setattr(data, "SETS", {"tiny": data.DataSet(lambda: made, "arrays")})
    data.write("tiny", tmp_path)
    speeds = [Speed(side, "float32", (1.0,), side**2 * 1e-7) for side in (24, 32)]
    monkeypatch.setattr(probe, "speeds", lambda task, sides, *_: [each for each in speeds if each.side in sides])
    assert reference.sizes_of_timed_runs("tiny", tmp_path, 600) == {}, "their own"
    assert reference.sizes_of_timed_runs("tiny", tmp_path, 10) == {"side": 24}, "less time, smaller images"
    best, found = reference.choose(lambda choice: 0.0, {"side": 24})
    assert best == {"rate": 1.0, "width": 1.0, "side": 24} and all(choice["side"] == 24 for choice, _ in found)


def test_p1_is_scaled_by_its_genes_of_width():
    genes = (Integer("width / 4", 1, 16), Choice("width", ("8", "16", "24")), Integer("depth", 1, 4))
    assert reference.scaled(genes, (4, 1, 2), 1.4) == (6, 2, 2)
    assert reference.scaled(genes, (4, 1, 2), 0.7) == (3, 0, 2)
    assert reference.scaled(genes, (16, 2, 2), 2) == (16, 2, 2)


def test_p1_trains_and_tests(tmp_path, monkeypatch):
    labels = np.arange(90) % 3
    images = (labels[:, None, None, None] * 80 + np.arange(90)[:, None, None, None] % 20).astype(np.uint8)
    images = np.broadcast_to(images, (90, 8, 8, 1)).copy()
    images[:, 0, 0, 0] = np.arange(90)
    made = data.Images(images, labels, np.repeat([0, 1, 2], [50, 20, 20]).astype(np.uint8), ("a", "b", "c"))
    monkeypatch.setattr(data, "SETS", {"tiny": data.DataSet(lambda: made, "arrays")})
    monkeypatch.setattr(reference, "PROBE", 2)
    data.write("tiny", tmp_path)
    final = {"space": {"ref": "residual"}, "genotype": [4, 1], "evaluator": {"lr": 0.1, "batch": 10}}
    choice = {"rate": 2.0, "width": 1.5}
    facts = reference.play(final, "tiny", tmp_path, "test", choice, 0.0, 0, tmp_path / "p1")
    assert facts["steps"] == 60 and facts["right"].shape == (20,)
    assert facts["accuracy"] == pytest.approx(facts["right"].mean())


def test_starts_within_constraints_are_trained_as_timed_runs_train_them():
    final = reference.of_timed_runs(5_000, ["params <= 50000"])
    assert final == reference.of_timed_runs(5_000) | {"constraints": ["params <= 50000"]}


def test_p1_is_within_the_constraints_it_is_given(tmp_path, monkeypatch):
    labels, split = np.arange(90) % 3, np.repeat([0, 1, 2], [50, 20, 20]).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
    made = data.Images(images, labels, split, ("a", "b", "c"))
    monkeypatch.setattr(data, "SETS", {"tiny": data.DataSet(lambda: made, "arrays")})
    data.write("tiny", tmp_path)
    final = {"space": {"ref": "residual"}, "genotype": [4, 1], "evaluator": {}, "constraints": ["params <= 10000"]}
    with pytest.raises(InvalidGenotype, match=r"the run asks params <= 10,000"):
        reference.play(final, "tiny", tmp_path, "test", {"rate": 1.0, "width": 9.0}, 0.0, 0, tmp_path / "p1")


def test_a_context_of_no_search_has_all_that_an_evaluator_asks():
    alone = reference.Alone(SimpleNamespace())
    assert alone.report(1, {}) and not alone.should_stop() and alone.checkpoint_of(1) is None and not alone.members(1)


def _script(tmp_path, *words):
    script = Path(cells.HERE).with_name("tonight.py")
    given = ["--data", str(tmp_path), "--folder", str(tmp_path / "cells"), "--lines", str(tmp_path / "lines.jsonl")]
    return [sys.executable, str(script), *given, *words]


@pytest.fixture
def fake(tmp_path):
    """A command that prints what a search prints, after the seconds that SLEEP says; and digits to search on."""
    labels, split = np.array([0, 1, 0, 1]), np.array([0, 0, 2, 2], np.uint8)
    np.savez(tmp_path / "digits.npz", images=np.zeros((4, 2, 2, 1), np.uint8), labels=labels, split=split)
    command = tmp_path / "netwright"
    facts = {"test_accuracy": 0.5, "metric": "test_accuracy", "params": 7, "shipped": "searched"}
    facts = json.dumps(facts | {"reference_test_accuracy": 0.25})
    command.write_text(f"#!/bin/sh\necho planning\nsleep ${{SLEEP:-0}}\necho '{facts}'\n")
    command.chmod(0o755)
    return [
        "--netwright",
        str(command),
        "--columns",
        "netwright",
        "--only",
        "digits",
        "--seconds",
        "60",
        "--at-once",
        "1",
    ]


def test_cells_are_played_once_and_shown(tmp_path, fake):
    for again in (False, True):
        done = subprocess.run(_script(tmp_path, *fake, "--seeds", "2"), capture_output=True, text=True, check=True)
        assert "| digits | - | - | 50.00 ± 0.00 (2) |" in done.stdout and "59 cells are left" in done.stdout
        assert "In 2 of 2 runs a searched network was shipped" in done.stdout
        assert done.stderr.startswith("0 cells" if again else "2 cells")
    assert [line.cell.seed for line in cells.read(tmp_path / "lines.jsonl")] == [0, 1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_cells_that_need_two_cores_are_played_where_two_may_be_used(tmp_path, fake):
    place = fake.index("--at-once")
    words = [*fake[:place], *fake[place + 2 :], "--columns", "two-cores", "--only", "cifar4to7", "--seeds", "1"]
    np.savez(tmp_path / "cifar4to7.npz", **np.load(tmp_path / "digits.npz"))
    for count, expected in (("1", 0), ("2", 1)):
        subprocess.run(_script(tmp_path, *words, "--at-once", count), check=True, capture_output=True)
        assert len(cells.read(tmp_path / "lines.jsonl")) == expected


def test_a_cell_that_was_cut_leaves_no_line_and_no_process(tmp_path, fake):
    """SIGTERM, as at the end of a piece of time."""
    words = _script(tmp_path, *fake, "--seeds", "1")
    with subprocess.Popen(words, env=os.environ | {"SLEEP": "77.125"}, stderr=subprocess.DEVNULL) as playing:
        told = tmp_path / "cells" / "digits-netwright-0" / "out.txt"
        while not (told.exists() and told.read_text()):
            assert playing.poll() is None
            time.sleep(0.05)
        playing.terminate()
        assert playing.wait() == 143
    assert not cells.read(tmp_path / "lines.jsonl")
    left = [each for each in psutil.process_iter(["cmdline"]) if (each.info["cmdline"] or [])[-1:] == ["77.125"]]
    assert not psutil.wait_procs(left, timeout=10)[1]
