"""What `benchmarks/supernet_ranking.py` compares, and that it goes on where it was stopped."""

import json
import sys
from argparse import Namespace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from netwright.core.records import IO
from netwright.core.table import Table
from netwright.spaces.nats import NatsTopology

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPACE = NatsTopology()


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import supernet_ranking

    yield supernet_ranking
    for name in ("supernet_ranking", "results"):
        sys.modules.pop(name, None)


def cell(text):
    """Operations by letter, in the order of the edges: n none, s skip, 1, 3, p pool."""
    return tuple("ns13p".index(letter) for letter in text)


@pytest.mark.parametrize(
    ("text", "operations", "cost"),
    [
        ("333333", [3] * 6, 54),
        ("nnnnnn", [], 0),
        ("3nnnnn", [], 0),  # node 1, which nobody reads
        ("n333n1", [3, 3, 2], 19),  # 0->2, 0->3, 2->3: node 1 never sees the input
        ("n3n1n1", [3, 2, 2], 11),
        ("nn3n33", [], 0),  # nothing leaves the input
        ("sp1n1s", [1, 4, 2, 2, 1], 2),
    ],
)
def test_edges_are_live_on_a_way_from_input_to_output(study, text, operations, cost):
    assert study.live(cell(text)) == operations
    assert study.live_multiply_adds(cell(text)) == cost


def test_ways_are_programs_with_other_options(study):
    scale = study.Scale(cells=10, steps=801)
    own, other = study.program_of("default", scale), study.program_of("pt1:sampling=fair,paths=4,lr=0.1", scale)
    assert own.length == other.length == 101 and own.epochs == other.epochs == 0, "the same length, rounded up"
    assert (other.sampling, other.paths, other.steps.lr, other.steps.drop_path_keep) == ("fair", 4, 0.1, 1.0)
    assert own.rounds.number == study.PARTS
    several = study.program_of("default:supernets=5,split_gene=5,joint_share=0.25,tuning_steps=9", scale)
    assert (several.supernets, several.split_gene, several.joint_share, several.tuning_steps) == (5, 5, 0.25, 9)
    assert study.training_of("default:tuning_steps=9,supernets=5,statistics=batch") == "default:supernets=5"
    assert study.training_of("default:tuning_steps=9") == study.training_of("default") == "default"
    for wrong in ("pt3", "pt1:speed=2"):
        with pytest.raises(SystemExit, match="--ways"):
            study.program_of(wrong, scale)


@pytest.fixture
def tables(study):
    """Made up: what is true of a cell is its cost and a little more."""
    rng = np.random.default_rng(0)
    cells = list(dict.fromkeys(SPACE.sample(rng) for _ in range(60)))
    cost = np.array([study.live_multiply_adds(each) for each in cells], float)
    columns = {"early": cost + rng.normal(size=len(cells)) * 9, "late": cost + rng.normal(size=len(cells)) * 3}
    rows = {each: place for place, each in enumerate(cells)}
    made = Table("made up", SPACE, rows, columns, "early", "late", io=IO(3, 32, 32, 10))
    return dict.fromkeys(study.DATASETS, made)


def test_the_table_has_what_costs_nothing_beside_what_was_scored(study, tables, capsys):
    table = tables["cifar10"]
    cells = study.drawn(table, 40)
    assert cells == study.drawn(table, 40) and len(set(cells)) == 40
    truth = [table.lookup(each)["final"] for each in cells]
    line = {"way": "pt1", "seed": 0, "part": 8, "steps": 800, "seconds": 9.0, "cpu_seconds": 60.0}
    line |= {"scoring_cpu_seconds": 30.0, "scale": {"cells": 40}, "device": "cpu", "scores": truth}
    rows = study.summed_up([line], tables, every=False)
    said = capsys.readouterr().out.splitlines()
    assert said[2].startswith("| parameters, 40 cells, ") and said[-1].startswith("| pt1, seed 0, after 800 of ")
    assert "| 1.0 + 0.5 CPU minutes | 1.00 [1.00, 1.00] | 1.00" in said[-1] and "| 100% |" in said[-1]
    counted = next(row for row in rows if row.subject.startswith("multiply-adds") and row.unit == "tau")
    early = next(row for row in rows if row.subject.startswith("alone, 12 epochs") and row.unit == "tau")
    assert 1 > counted.median > early.median > 0


def test_a_supernet_is_trained_in_pieces(study, tables, tmp_path, monkeypatch, capsys):
    """Stopped again and again, it comes to the same scores as undisturbed."""
    rng = np.random.default_rng(0)
    parts = {"train": 200, "valid": 500, "test": 10}
    images = {f"x_{split}": rng.integers(256, size=(n, 8, 8, 3), dtype=np.uint8) for split, n in parts.items()}
    labels = {f"y_{split}": np.arange(n) % 10 for split, n in parts.items()}
    monkeypatch.setattr(study, "read", lambda _path: tables)
    scale = study.Scale(cells=8, steps=16, channels=4, images=200, side=8)
    cells = study.drawn(tables["cifar10"], 8)
    found = []
    for name, often in (("whole", 1000), ("pieces", 4)):
        asked = count(1)
        monkeypatch.setattr(
            study.Clock, "should_stop", lambda _clock, asked=asked, often=often: not next(asked) % often
        )
        options = Namespace(minutes=None, data=tmp_path, lines=tmp_path / f"{name}.jsonl")
        options.device, options.table, options.folder, options.scored = "cpu", tmp_path, tmp_path / name, study.SCORED
        options.folder.mkdir()
        np.savez(options.folder / "cifar10-200-8.npz", **images, **labels)
        calls = 1
        while not study.play("default:recalibration=1", 0, scale, cells, options):
            calls += 1
        assert (calls > 3) == (name == "pieces")
        lines = [json.loads(text) for text in options.lines.read_text().splitlines()]
        assert [line["steps"] for line in lines] == [2, 4, 8, 16]
        found.append([line["scores"] for line in lines])
        study.play("default:recalibration=1", 0, scale, cells, options)
        assert len(options.lines.read_text().splitlines()) == 4, "what is there is not played again"
    assert found[0] == found[1]
    monkeypatch.setattr(study.RoundsTraining, "train", None)
    monkeypatch.setattr(study.Clock, "should_stop", lambda _clock: False)
    tuned = "default:tuning_steps=2,tuning_lr=0.1,recalibration=1"
    so_far = (
        next((tmp_path / "pieces").glob("*/training.safetensors")).parent / f"scores-{study._digest(tuned)}-8.jsonl"
    )
    so_far.write_text("[0.25, 1.5]\n[0.5")
    options.scored = [8]
    assert study.play(tuned, 0, scale, cells, options), "from the same training, after a score that was there"
    line = json.loads(options.lines.read_text().splitlines()[-1])
    assert (line["part"], line["scores"][0]) == (8, 0.25) and line["scores"][1:] != found[0][-1][1:]
    assert line["scoring_cpu_seconds"] > 1.5 and not so_far.exists()
    assert "the same command goes on" in capsys.readouterr().out
