import math
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from netwright.core.finals import RESIDUAL, Final, Measured, Printed, Repetition
from netwright.core.genes import Choice, Real
from netwright.core.objectives import Objective, with_scores
from netwright.core.records import IO, Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.data import outcome
from netwright.data.outcome import Outcome
from netwright.report import markup
from netwright.report.history import History
from netwright.report.page import changes, write
from netwright.report.reported import ReportedRun
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.macro import REFERENCE
from netwright.stores.memory import MemoryStore
from tests.report.test_promotions import SEARCH
from tests.undrawn import figures
from tests.verified import VERIFIED

ACCURACY = Objective("valid_accuracy", shown="share")
TESTED = ACCURACY.moved_to("test")
SPACE = HierarchicalSpace()
FILES = [
    f"{name}.{suffix}"
    for name in ("best", "cell", "cell-narrow", "fitness", "hours", "lineage", "parameters", "size")
    for suffix in ("png", "svg")
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
    return ReportedRun(
        name, RunFile(objectives=objectives), History.of(trials), SPACE, measures=(ACCURACY,), **settings
    )


def trained_in_full(label="best of the search", **settings):
    fields = {"trial_id": 9, "setting": "30 epochs", "objective": TESTED, "params": 7, "mean": 0.9, "sd": None}
    return Final(label, space=Reference("hierarchical"), genotype=(), **{"n": 1, **fields, **settings})


def drawn(page):
    """The title of the drawing on a page, and how many stages the network has there."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>((?:Best architecture|What ships)[^<]*)</h2>", text)
    cell = (page.parent / "cell.svg").read_text(encoding="utf-8")
    return titles, len(re.findall(r"<!-- stage \d -->", cell))


@pytest.mark.usefixtures("drawn")
def test_what_ships_is_drawn_as_it_is_for_the_images_of_the_task(tmp_path):
    found = reported(rows(3))
    with figures():  # of which the title alone is looked at
        [_] = drawn(write(tmp_path / "a", [found]))[0]
    reference = trained_in_full("plain residual network", trial_id=None, reference=True)
    macro = replace(reference, space=Reference("macro"), genotype=REFERENCE, repetitions=(Repetition(5, 7, 0.9),))
    titles = []
    for side, stages in ((32, 3), (8, 2)):
        shown = replace(found, finals=(macro,), shipped=macro, io=IO(1, side, side, 10))
        titles, count = drawn(write(tmp_path / "a", [shown]))
        assert count == 2 * stages, "each on its arrow and over its own drawing"
    assert titles == ["What ships: plain residual network, the reference"]


def keep_outcome(folder, classes=("cat", "dog", "<b>大"), shape=(8, 8, 1), name="{}.png"):
    """Of 40 images: ten cats and ten of the third class are taken for dogs, twenty dogs are not."""
    folder.mkdir()
    targets, predictions = np.repeat([0, 1, 1, 2], 10), np.ones(40, np.int64)
    pixels = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    names = tuple(name.format(position) for position in range(5))
    losses = np.linspace(4, 0, 40, dtype=np.float32)
    kept = Outcome(targets, predictions, losses, pixels, np.arange(5), names, classes)
    (folder / outcome.OUTCOME).write_bytes(outcome.to_bytes(kept))
    return folder


@pytest.mark.usefixtures("drawn")
def test_the_page_is_whole_and_holds_its_drawings(tmp_path):
    path = write(tmp_path / "out", [reported(rows(12, failing=(4,)))])
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([*FILES, "report.html"])
    checker = read(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert path.read_text(encoding="utf-8").count("<svg") == 8
    assert len(set(checker.ids)) == len(checker.ids)
    inner = {use for use in checker.uses if use.startswith("#")}
    assert inner and {use[1:] for use in inner} <= set(checker.ids)
    assert all(use.startswith(("#", "data:image/png")) for use in checker.uses)
    assert "http" not in path.read_text(encoding="utf-8")


def test_headline_ten_best_failures_and_run_file_are_told(tmp_path):
    text = " ".join(read(write(tmp_path, [reported(rows(12, failing=(4,)), hours=0.01, workers=1)])).text)
    assert "0.5120" in text and "9,988" in text  # the last trial
    assert "RuntimeError: <no> room & board" in text and "out of memory" in text
    assert 'ref = "auto"' in text
    assert "61%" in text  # 11 trials of 2 seconds in 36


@pytest.mark.usefixtures("drawn")
def test_text_from_data_is_escaped(tmp_path):
    final = trained_in_full("<script>alert(1)</script>", mean=0.97123, command="<b>train")
    versions = {"<b>system": "<script>"}
    path = write(tmp_path, [reported(rows(3), name="<b>&\"'", finals=(final,), versions=versions, command="<b>")])
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


@pytest.mark.usefixtures("drawn")
def test_several_runs_are_overlaid_and_the_best_one_is_drawn(tmp_path):
    better = reported(rows(9), name="long", finals=(trained_in_full("its best", sd=0.01, n=3),))
    checker = read(write(tmp_path, [reported(rows(4), name="short"), better]))
    text = " ".join(checker.text)
    assert "Result of long" in text and "Best architecture of long" in text and "long: its best" in text
    assert len(set(checker.ids)) == len(checker.ids)


def with_model(trials):
    """Those after the second come from rounds of two."""
    return [
        replace(t, proposal=replace(t.proposal, notes={"round": (t.id - 1) // 2, "model_kendall_tau": t.id / 100}))
        if t.id > 2
        else t
        for t in trials
    ]


def test_what_a_strategy_noted_of_its_model_is_shown_by_round(tmp_path):
    """Whatever the strategy and its measures are called."""
    with figures(is_drawn=True):
        checker = read(write(tmp_path, [reported(with_model(rows(6)))]))
    text = " ".join(" ".join(checker.text).split())
    assert "What the strategy learned" in text
    assert "round trials best valid accuracy kendall tau 1 2 0.5040 0.0300 2 2 0.5060 0.0500" in text
    assert any(each.startswith("model-") for each in checker.ids)
    assert (tmp_path / "model.png").stat().st_size and (tmp_path / "model.svg").exists()
    objectives = ("-params",)
    path = write(tmp_path, [reported(with_model(rows(6, objectives)), objectives=objectives)])
    assert "best params kendall tau 1 2 9,996 0.0300" in " ".join(" ".join(read(path).text).split())
    assert "What the strategy learned" not in " ".join(read(write(tmp_path, [reported(rows(6))])).text)
    assert not (tmp_path / "model.png").exists() and not (tmp_path / "model.svg").exists()


def test_a_minimized_objective_is_reported_as_measured(tmp_path):
    objectives = ("-params", "valid_accuracy")
    path = write(tmp_path, [reported(rows(5, objectives), objectives=objectives)])
    text = " ".join(read(path).text)
    assert "params, minimized" in text and "9,995" in text and "-9,995" not in text
    assert "Further objectives: valid_accuracy" in text


@pytest.mark.parametrize(
    "trials",
    [[], rows(3, failing=(1, 2, 3)), rows(3, has_params=False), rows(1, failing=(1,))],
    ids=["none", "all failed", "no params", "one failed"],
)
def test_runs_without_much_to_tell_are_reported(tmp_path, trials):
    write(tmp_path, [reported(rows(2))])  # an earlier report
    read(write(tmp_path, [reported(trials)]))
    has_best = any(trial.scores for trial in trials)
    for name in ("cell.svg", "cell-narrow.svg", "lineage.png", "fitness.png", "best.svg"):
        assert (tmp_path / name).exists() == has_best, name
    has_params = any(trial.result.metrics.get("params") for trial in trials)
    assert (tmp_path / "size.png").exists() == (tmp_path / "parameters.svg").exists() == has_params


@pytest.mark.usefixtures("drawn")
def test_on_a_narrow_screen_the_drawing_is_the_upright_one(tmp_path):
    text = write(tmp_path, [reported(rows(2))]).read_text(encoding="utf-8")
    assert text.count('<svg class="wide"') == text.count('<svg class="narrow"') == 1
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(ids)) == len(ids), "both lie in one page"
    assert text.count("<figcaption>The best architecture, at every level<") == 1
    assert "figure svg.narrow { display: none; }" in text


@VERIFIED
def test_a_best_without_ancestors_has_no_figure_of_them(tmp_path):
    write(tmp_path, [reported(rows(2))])  # an earlier report
    write(tmp_path, [reported(rows(1))])
    assert (tmp_path / "cell.svg").exists()
    assert not (tmp_path / "lineage.png").exists()


def test_repeated_networks_and_orphans_are_reported(tmp_path):
    first, *others = rows(3)
    trials = [replace(first, proposal=replace(first.proposal, parents=(77,))), *others]
    text = " ".join(read(write(tmp_path, [reported(trials[:1])])).text)
    assert "derived from 77" in text


def test_networks_trained_in_full_are_listed_and_compared(tmp_path):
    found = trained_in_full(params=52_000, sd=0.002, n=3)
    plain = trained_in_full(RESIDUAL, trial_id=None, params=51_000, mean=0.8, sd=0.002, n=3, reference=True)
    text = " ".join(read(write(tmp_path, [reported(rows(3), finals=(found, plain))])).text)
    assert "Trained in full" in text and "30 epochs" in text and "0.0020" in text
    assert "The search paid" in text and "10.00 points more" in text


def test_a_cooldown_that_broke_off_is_noted(tmp_path):
    found = trained_in_full(broken_off="the deadline broke off the cooldown at step 95 of 100")
    text = " ".join(read(write(tmp_path, [reported(rows(3), finals=(found, trained_in_full(RESIDUAL)))])).text)
    assert text.count("Note: the deadline broke off the cooldown at step 95 of 100 of the best of the search.") == 1


@pytest.mark.usefixtures("drawn")
def test_mistakes_of_the_best_network_are_shown(tmp_path):
    final = trained_in_full(folder=keep_outcome(tmp_path / "kept"))
    plain = trained_in_full(RESIDUAL, reference=True, folder=tmp_path / "kept")
    path = write(tmp_path / "out", [reported(rows(3), finals=(plain, final))])
    page, checker = path.read_text(encoding="utf-8"), read(path)
    text = " ".join(checker.text)
    assert "Mistakes on the test images" in text and "20 of 40 images" in text
    assert "<b>大 taken for dog" in text and "<b>大" not in page
    assert text.count("loss 4.00") == 1 and "4.png" in text
    assert "Naming the largest class, dog, always would recognize 50.0% of the images" in text
    assert text.index("Best architecture") < text.index("Mistakes on")
    assert page.count("<img") == 5 and page.count('class="crisp"') == 5
    assert len(set(checker.ids)) == len(checker.ids)
    inner = {use[1:] for use in checker.uses if use.startswith("#")}
    assert inner <= set(checker.ids)
    assert all(use.startswith(("#", "data:image/png;base64,")) for use in checker.uses)
    for name in ("confusion.png", "confusion.svg", "worst.png", "worst.svg"):
        assert (path.parent / name).stat().st_size


@VERIFIED
def test_figures_of_mistakes_go_when_there_is_nothing_to_show(tmp_path):
    final = trained_in_full(folder=keep_outcome(tmp_path / "kept"))
    write(tmp_path / "out", [reported(rows(3), finals=(final,))])
    text = " ".join(read(write(tmp_path / "out", [reported(rows(3), finals=(trained_in_full(),))])).text)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*FILES, "report.html"])
    assert "Mistakes" not in text


def test_of_the_images_of_the_largest_loss_only_mistakes_are_shown(tmp_path):
    """Of two kept images the second was recognized, for all its loss."""
    kept = Outcome(
        np.array([0, 1]),
        np.array([1, 1]),
        np.array([3.0, 2.0], np.float32),
        np.zeros((2, 8, 8, 1), np.uint8),
        np.arange(2),
        ("wrong.png", "right.png"),
        ("cat", "dog"),
    )
    for targets, count in ((kept.targets, 1), (np.array([1, 1]), 0)):
        folder = tmp_path / f"kept{count}"
        folder.mkdir()
        (folder / outcome.OUTCOME).write_bytes(outcome.to_bytes(replace(kept, targets=targets)))
        page = write(tmp_path / "out", [reported(rows(3), finals=(trained_in_full(folder=folder),))])
        text = page.read_text(encoding="utf-8")
        assert text.count("<img") == count and "right.png" not in text and "recognized</span>" not in text
        assert (tmp_path / "out" / "worst.png").exists() == bool(count)


def test_words_break_at_their_ends_but_for_those_that_no_column_holds():
    made = markup.table(("why",), [("a word",), ("x" * 30 + " &",)])
    assert made.count('class="long"') == 1 and f'<span class="long">{"x" * 30}</span> &amp;' in made


def test_lines_do_not_end_within_the_name_of_an_option():
    made = markup.listing("netwright search a-b.toml --space.channels 4 -3 --flag=<x>\n--strategies 'x--y'")
    whole = [f'<span class="whole">{name}</span>' for name in ("--space.channels", "--flag", "--strategies")]
    first, second, third = whole
    assert made == (f"<pre>netwright search a-b.toml {first} 4 -3 {second}=&lt;x&gt;\n{third} &#x27;x--y&#x27;</pre>")
    assert whole[2] in markup.section("", "give --strategies a name")
    assert "--" + "x" * 40 in markup.listing("--" + "x" * 40), "one that no line holds may break"


def test_drawings_shrink_no_further_than_their_text_can_be_read():
    svg = '<?xml?><svg width="720pt" height="1pt"></svg>'
    assert 'style="min-width: 800px"' in markup.figure(svg, "a", "b", 9.0)
    assert 'style="min-width: 0px"' in markup.figure(svg, "a", "b", math.inf), "no text"


def test_photographs_are_made_small_for_the_page(tmp_path):
    final = trained_in_full(folder=keep_outcome(tmp_path / "kept", shape=(1000, 700, 3)))
    page = write(tmp_path, [reported(rows(3), finals=(final,))]).read_text(encoding="utf-8")
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)
    assert [Image.open(BytesIO(b64decode(source))).size for source in sources] == [(112, 160)] * 5
    assert 'class="crisp"' not in page


def test_paths_are_shortened_and_whole_under_the_pointer(tmp_path):
    folder = keep_outcome(tmp_path / "kept", name='C:\\pictures/a "quoted" {}\udcff.png')
    page = write(tmp_path, [reported(rows(3), finals=(trained_in_full(folder=folder),))])
    assert '"C:\\pictures/a &quot;quoted&quot; 3?.png">a &quot;quoted&quot; 3?.png<' in page.read_text(encoding="utf-8")


def test_mistakes_of_another_run_are_shown_when_the_best_has_none(tmp_path):
    other = reported(rows(2), name="other", finals=(trained_in_full(folder=keep_outcome(tmp_path / "kept")),))
    text = " ".join(read(write(tmp_path, [reported(rows(9), name="best"), other])).text)
    assert "Result of best" in text and "Mistakes on the test images of other" in text


def _without_spans(page):
    return re.sub("</?span[^>]*>", "", page)


def test_commands_and_versions_to_repeat_a_run_are_listed(tmp_path):
    """Each command once, the search first."""
    search, train = "netwright search a.toml --out runs/a", "netwright train runs/a --epochs 30"
    finals = [trained_in_full(command=command) for command in (search, train, train)]
    run = reported(rows(3), finals=tuple(finals), command=search, versions={"python": "3.11.7", "torch": "2.13"})
    page = _without_spans(write(tmp_path, [run]).read_text(encoding="utf-8"))
    assert f"<pre>{search}\n{train}</pre>" in page and "<pre>python 3.11.7\ntorch 2.13</pre>" in page
    assert "To repeat this" not in write(tmp_path, [reported(rows(3))]).read_text(encoding="utf-8")
    both = [run, replace(run, name="second", command="another")]
    overlaid = _without_spans(write(tmp_path, both).read_text(encoding="utf-8"))
    assert overlaid.count("<h3>") == 2 and f"another\n{search}" in overlaid


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        write(tmp_path, [])


def test_promotions_have_a_section_of_their_own(tmp_path):
    """Brackets, rank agreement, the curves over budgets; a promotion is said to go on, not to be a mutant."""
    trials = [replace(trial, proposal=replace(trial.proposal, genotype=SPACE.trivial())) for trial in SEARCH]
    path = write(tmp_path, [reported(trials)])
    text = " ".join(read(path).text)
    for words in ("Rank agreement", "bracket 0", "4, 3 promoted, 1 failed", "-0.50", "goes on to the budget 4"):
        assert words in text, words
    assert (tmp_path / "budgets.png").exists()
    told = " ".join(text.split())
    assert "trial budget valid accuracy changed 3 1 0.3000 start population 5 2 0.5000 goes on" in told
    assert "trial budget valid accuracy params key parents 8 4 0.9000 – 8 5 10 4 0.8000" in told
    plain = " ".join(" ".join(read(write(tmp_path, [reported(rows(3))])).text).split())
    assert "trial valid accuracy params key parents" in plain and "budget" not in plain.split("Run file")[0]
    assert not (tmp_path / "budgets.png").exists()


def test_what_papers_print_stands_beside_what_was_measured(tmp_path):
    printed = (Printed("cell of the paper", 20.3, 0.5, 5.2, 64e6, 5), Printed("top-5 alone", top5_error=7.0))
    further = (Measured(Objective("test_top5", shown="share"), 0.985, None),)
    found = [trained_in_full(further=further, published=printed), trained_in_full("plain", sd=0.01, n=2)]
    text = " ".join(" ".join(read(write(tmp_path, [reported(rows(2), finals=tuple(found))])).text).split())
    assert "cell of the paper published 20.3 ± 0.5 5.2 64,000,000 5 –" in text
    assert "top-5 alone published – 7 – – –" in text
    assert "best of the search, trial 9 here 10.00 1.50 7 1 30 epochs" in text
    assert "test top5 98.50 %" in text
    assert "plain, trial 9 here" not in text, "its recipe prints nothing"
