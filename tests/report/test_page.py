import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from netwright.core.genes import Choice, Real
from netwright.core.objectives import with_scores
from netwright.core.records import Proposal, Result
from netwright.core.run_file import RunFile
from netwright.report.page import ReportedRun, changes, write
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.trainings import Candidate, Final

SPACE = HierarchicalSpace()
FILES = [
    f"{name}.{suffix}" for name in ("best", "cell", "fitness", "lineage", "parameters") for suffix in ("png", "svg")
]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Collects ids, references and text; notes tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.uses, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name.endswith("href") or name == "src":
                self.uses.append(value)
            self.uses += re.findall(r"url\((#[^)]*)\)", value or "")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert checker.faults == checker.open == []
    return checker


def rows(count, objectives=("valid_accuracy",), has_params=True, failing=()):
    """A chain of mutants, each better than its parent."""
    rng, store, genotype = np.random.default_rng(0), MemoryStore(), SPACE.trivial()
    for number in range(1, count + 1):
        trial_id = store.add(Proposal(genotype, (number - 1,) if number > 2 else ()), SPACE.key(genotype), 0)
        store.claim("w")
        metrics = {"valid_accuracy": 0.5 + number / 1000} | ({"params": 10_000 - number} if has_params else {})
        failed = Result(failure="out_of_memory", message="Traceback\nRuntimeError: <no> room & board")
        store.finish(trial_id, failed if number in failing else Result(metrics, seconds=2.0))
        genotype = SPACE.mutate(genotype, rng)
    return with_scores(store.finished(), objectives)


def reported(trials, name="a run", objectives=("valid_accuracy",), **settings):
    return ReportedRun(name, RunFile(objectives=objectives), trials, SPACE, **settings)


def test_the_page_is_whole_and_holds_its_drawings(tmp_path):
    path = write(tmp_path / "out", [reported(rows(12, failing=(4,)))])
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([*FILES, "report.html"])
    checker = read(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert path.read_text(encoding="utf-8").count("<svg") == 5
    assert len(set(checker.ids)) == len(checker.ids)
    inner = {use for use in checker.uses if use.startswith("#")}
    assert inner and {use[1:] for use in inner} <= set(checker.ids)
    assert all(use.startswith(("#", "data:image/png")) for use in checker.uses)
    assert "http" not in path.read_text(encoding="utf-8")


def test_headline_ten_best_failures_and_run_file_are_told(tmp_path):
    text = " ".join(read(write(tmp_path, [reported(rows(12, failing=(4,)), hours=0.01, workers=1)])).text)
    assert "0.5120" in text and "9,988" in text  # the last trial
    assert "RuntimeError: <no> room & board" in text and "out of memory" in text
    assert 'ref = "tournament"' in text
    assert "61%" in text  # 11 trials of 2 seconds in 36


def test_text_from_data_is_escaped(tmp_path):
    final = Final(Candidate("<script>alert(1)</script>", ()), "test_accuracy", 0, 0.97123, None, 1)
    path = write(tmp_path, [reported(rows(3), name="<b>&\"'", finals=(final,))])
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page and "<b>" not in page
    text = " ".join(read(path).text)
    assert "<script>alert(1)</script>" in text and "<b>&\"'" in text and "0.9712" in text


def test_lineage_says_what_each_mutation_changed(tmp_path):
    trials = rows(6)
    text = " ".join(read(write(tmp_path, [reported(trials)])).text)
    assert "start population" in text
    for parent, child in pairwise(trials[1:]):
        for change in changes(SPACE.genes, parent.proposal.genotype, child.proposal.genotype):
            assert change in text


def test_a_very_long_lineage_is_cut_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.report.page.MOST_STEPS", 3)
    text = " ".join(read(write(tmp_path, [reported(rows(8))])).text)
    assert "4 generations left out" in text and "start population" in text


def test_changes_name_genes_and_options():
    genes = (Choice("cell 2->4", ("none", "motif 1")), Real("width", 0.0, 1.0), Choice("same", ("x", "y")))
    assert changes(genes, (0, 0.25, 1), (1, 0.5, 1)) == ["cell 2->4: none → motif 1", "width: 0.25 → 0.5"]


def test_several_runs_are_overlaid_and_the_best_one_is_drawn(tmp_path):
    better = reported(
        rows(9), name="long", finals=(Final(Candidate("its best", (), 9), "test_accuracy", 7, 0.9, 0.01, 3),)
    )
    checker = read(write(tmp_path, [reported(rows(4), name="short"), better]))
    text = " ".join(checker.text)
    assert "Result of long" in text and "Best architecture of long" in text and "long: its best" in text
    assert len(set(checker.ids)) == len(checker.ids)


def test_a_minimized_objective_is_reported_as_measured(tmp_path):
    objectives = ("-params", "valid_accuracy")
    path = write(tmp_path, [reported(rows(5, objectives), objectives=objectives)])
    text = " ".join(read(path).text)
    assert "params, minimized" in text and "9,995" in text and "-9,995" not in text
    assert "Further objectives: valid_accuracy" in text


@pytest.mark.parametrize(
    "trials",
    [[], rows(1), rows(3, failing=(1, 2, 3)), rows(3, has_params=False), rows(1, failing=(1,))],
    ids=["none", "one", "all failed", "no params", "one failed"],
)
def test_runs_without_much_to_tell_are_reported(tmp_path, trials):
    write(tmp_path, [reported(rows(2))])  # an earlier report
    read(write(tmp_path, [reported(trials)]))
    has_best = any(trial.scores for trial in trials)
    assert (tmp_path / "cell.svg").exists() == (tmp_path / "lineage.png").exists() == has_best


def test_repeated_networks_and_orphans_are_reported(tmp_path):
    first, *others = rows(3)
    trials = [replace(first, proposal=replace(first.proposal, parents=(77,))), *others]
    text = " ".join(read(write(tmp_path, [reported(trials[:1])])).text)
    assert "derived from 77" in text


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        write(tmp_path, [])
