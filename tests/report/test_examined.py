from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from netwright.core import left
from netwright.core.finals import Repetition
from netwright.core.members import members
from netwright.data import outcome
from netwright.report import examined, page
from netwright.report.examined import Kind
from netwright.report.markup import section
from tests.report.test_page import read, reported, rows
from tests.report.test_trained import ACCURACY, final, keep, rival


def test_the_first_tested_network_with_an_outcome_is_examined(tmp_path):
    first, second, third = (keep(tmp_path / name, 10 + len(name)) for name in ("a", "bb", "ccc"))
    weak, strong = final(0.8, folder=first), final(0.9, folder=second)
    listed = [
        final(0.99, folder=third, objective=ACCURACY.moved_to("valid")),
        rival(0.95, folder=third),
        final(0.97, folder=tmp_path / "gone"),
        weak,
        strong,
    ]
    seen = examined.examined(listed)
    assert seen.final is weak and seen.examples.count == 11 and seen.final.is_tested
    assert not examined.examined(listed[:1]).final.is_tested
    assert examined.examined([final(0.9), rival(0.9, folder=first)]) is None
    shipped = rival(0.9, folder=second)
    assert examined.examined([weak, shipped], shipped).final is shipped, "though it is a reference"


def test_what_is_no_outcome_is_none(tmp_path):
    (tmp_path / outcome.OUTCOME).write_bytes(b"torn")
    assert examined.examples_of(final(0.9, folder=tmp_path)) is None
    assert examined.examples_of(replace(final(0.9), folder=None)) is None


@dataclass(frozen=True)
class Lines:
    """Another kind of examples: lines of text in a file."""

    lines: tuple[str, ...]

    @property
    def count(self):
        return len(self.lines)

    def figures(self):
        return {"lengths": Figure(figsize=(1, 1))}

    def section(self, final, whose, drawn):
        return section(f"Lines of {final.label}{whose}", " / ".join(self.lines), drawn["lengths"])


def _read(folder):
    path = folder / "lines.txt"
    return Lines(tuple(path.read_text().splitlines())) if path.exists() else None


def test_another_kind_of_examples_is_one_file(tmp_path, monkeypatch):
    """Which is found, asked what lies in the folder, drawn, shown, and its figures removed when there is none."""
    found = members("netwright.report.examples", "kind")
    assert len(found) == 2, "of the files there, those that images are shown by define no kind, and texts have one"
    monkeypatch.setattr(examined, "members", lambda *_: [*found, Kind({"lengths": "Lengths of lines"}, _read)])
    (tmp_path / "lines.txt").write_text("one\ntwo")
    run = reported(rows(2), finals=(final(0.9, folder=tmp_path),))
    text = " ".join(read(page.write(tmp_path / "out", [run])).text)
    assert "Lines of best of the search" in text and "one / two" in text and "Lengths of lines" in text
    assert (tmp_path / "out" / "lengths.svg").exists()
    page.write(tmp_path / "out", [replace(run, finals=())])
    assert not (tmp_path / "out" / "lengths.svg").exists()


def test_what_was_damaged_or_swapped_is_said_and_the_report_goes_on(tmp_path):
    whole, torn = keep(tmp_path / "whole", 10), keep(tmp_path / "torn", 20)
    for folder in (whole, torn):
        left.write(folder, {outcome.OUTCOME: (folder / outcome.OUTCOME).read_bytes()}, 3)
    data = bytearray((torn / outcome.OUTCOME).read_bytes())
    data[-3] ^= 1
    (torn / outcome.OUTCOME).write_bytes(data)
    repetitions = (Repetition(3, 50_000, 0.9),)
    good, bad = (replace(final(0.9, folder=folder), repetitions=repetitions) for folder in (whole, torn))
    swapped = replace(good, repetitions=(Repetition(4, 50_000, 0.9),))
    assert examined.faults([good]) == [] and examined.examples_of(good).count == 10
    assert examined.examples_of(bad) is None and examined.examples_of(swapped) is None
    said = [
        f"{torn / outcome.OUTCOME} is damaged, or that of another training",
        f"{whole / left.LIST} and the files that it lists are those of another training",
    ]
    assert examined.faults([bad, good, swapped]) == [
        f"{each}: the report goes without what it says of single examples" for each in said
    ]
    text = " ".join(read(page.write(tmp_path / "out", [reported(rows(2), finals=(bad,))])).text)
    assert f"Note: {said[0]}: the report goes without" in text
