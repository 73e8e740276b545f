"""`netwright report` as a user gives it: what only an option shows."""

import json

from tests.cli.test_bad_input import run as command
from tests.runs.test_several_objectives import made


def test_importance_is_shown_where_it_is_asked_for(tmp_path, capsys):
    run, _ = made(tmp_path / "run", trials=60)
    run.search(is_stage=True)
    code, out, _ = command(capsys, "report", run.folder, "--trust", "--json")
    assert code == 0 and "importance" not in json.loads(out)["runs"][0]
    code, out, _ = command(capsys, "report", run.folder, "--trust", "--importance", "--json")
    told = json.loads(out)
    found = told["runs"][0]["importance"]
    assert code == 0 and found["metric"] == "valid accuracy" and found["trials"] == 60 and not found["note"]
    shares = [gene["share"] for gene in found["genes"]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    assert any(path.endswith("importance.png") for path in told["figures"])
    assert "Which genes matter" in (run.folder / "report" / "report.html").read_text(encoding="utf-8")


def test_importance_of_too_few_trials_is_a_sentence(tmp_path, capsys):
    run, _ = made(tmp_path / "run", trials=3)
    run.search(is_stage=True)
    code, out, _ = command(capsys, "report", run.folder, "--trust", "--importance", "--json")
    assert code == 0 and "these are too few" in json.loads(out)["runs"][0]["importance"]["note"].lower()
