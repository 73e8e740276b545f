"""Data of a run on another host: somewhere else, made ready, and the same."""

import pytest

from netwright.core.errors import BadRunFile, StoreError
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.executors import here


def test_data_that_lies_elsewhere_is_made_ready_if_it_is_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("these")
    run = RunFile(task=Reference("tests.carried:Kept", {"path": "/gone", "size": 2}))
    made = here.made_ready(run, {"path": "data"}, "these")
    assert made.task.options == {"path": str(tmp_path / "data"), "size": 2}
    assert capsys.readouterr().out == f"prepared {tmp_path / 'data'}\n"
    with pytest.raises(StoreError, match=r"its fingerprint is these, not those\); give its place on this host"):
        here.made_ready(run, {"path": "data"}, "those")
    with pytest.raises(BadRunFile, match=r"--task\.size is the run's own.*may be given --task\.path"):
        here.made_ready(run, {"size": 3}, None)
