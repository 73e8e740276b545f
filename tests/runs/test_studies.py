"""Runs that each release has written are kept in tests/studies: they are opened, gone on with, or refused clearly."""

import json
import shutil
from pathlib import Path

import pytest

from netwright.core import disk, sealed
from netwright.core.errors import StoreError
from netwright.core.trust import Trust
from netwright.runs import doctor, run_folder
from netwright.runs.run import Run
from netwright.training import checkpoint
from tests.cli.test_bad_input import refused, run

STUDIES = Path(__file__).parents[1] / "studies"
OLDER = {"schema-1": (1, 1), "schema-2": (1, 2)}  # by name: format of the folder, schema of the table
KNOWN = [0.5446, 0.5527, 0.5978, 0.3383, 0.6149, 0.6154]  # as they were printed when the runs were made


@pytest.fixture
def study(request, tmp_path):
    return shutil.copytree(STUDIES / request.param, tmp_path / request.param)


def test_there_is_a_study_of_each_format():
    """A release that changes one adds its own to tests/studies, and says here what it is."""
    assert {path.name for path in STUDIES.iterdir()} == {*OLDER, "trained", "without-format"}
    assert str(run_folder.FORMAT) in {str(number) for number, _ in OLDER.values()}


@pytest.mark.parametrize("study", OLDER, indirect=True)
def test_it_is_shown(study, capsys):
    code, out, _ = run(capsys, "status", study)
    assert (code, "6 of 6 trials finished, 0 of them failed" in out) == (0, True)
    assert doctor.examine(study).is_healthy
    found = [round(row.result.metrics["valid_accuracy"], 4) for row in Run(study, trust=True).trials]
    assert found == KNOWN


def test_it_is_gone_on_with_and_tells_the_strategy_the_same_history(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(disk, "network", lambda _folder: "nfs4")
    told = []
    for name in OLDER:
        study = shutil.copytree(STUDIES / name, tmp_path / name)
        before = [(row.id, row.proposal, row.seed, row.finish, row.result) for row in Run(study, trust=True).trials]
        more = Run(study, trust=True, trials=8)
        more.search()
        assert "lies on a network disk (nfs4), where SQLite may lose trials" in capsys.readouterr().out
        after = [(row.id, row.proposal, row.seed, row.finish, row.result) for row in more.trials]
        assert (after[:6], len(after)) == (before, 8)
        assert [each.kind for each in doctor.examine(study).findings] == ["network disk"], "and nothing else"
        told.append([(row.proposal, row.seed, dict(row.result.metrics)) for row in more.trials])
    assert told[0] == told[1]


@pytest.mark.parametrize("study", ["without-format"], indirect=True)
def test_one_that_gave_no_format_is_refused(study, capsys):
    said = refused(capsys, "status", study)
    assert "was written by an earlier netwright, in a format that this one does not read; use the release" in said
    [found] = doctor.examine(study).findings
    assert (found.kind, "use the release that wrote it" in found.remedy) == ("format", True)
    with pytest.raises(StoreError, match="was written by an earlier netwright"):
        Run(study, trust=True)


@pytest.mark.parametrize("study", ["trained"], indirect=True)
def test_networks_that_were_trained_are_still_there(study, capsys):
    found = doctor.examine(study, Trust())
    assert (found.findings, found.remarks) == ((), ())
    [final] = [each for each in Run(study).finals() if not each.reference]
    assert sealed.is_whole((final.folder / checkpoint.WEIGHTS).read_bytes())
    code, out, _ = run(capsys, "status", study, "--json")
    assert (code, json.loads(out)["trials"]) == (0, 2)
    (final.folder / checkpoint.WEIGHTS).unlink()
    [lacks] = doctor.examine(study).findings
    assert lacks.kind == "weights" and "trained in full are missing" in lacks.what
