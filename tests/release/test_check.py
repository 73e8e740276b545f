import sys

import pytest

from release import check, environments
from release.environments import Failed


def _raises(fault):
    raise fault


def test_each_check_is_one_line_that_says_what_became_of_it(capsys):
    assert check.checked("a", lambda: "all of it") == "ok"
    assert check.checked("b", lambda: _raises(check.LeftOut("no Python 3.99 here"))) == "left out"
    assert check.checked("c", lambda: _raises(Failed("it differs"))) == "FAILED"
    assert check.checked("d", lambda: _raises(FileNotFoundError("CITATION.cff"))) == "FAILED"
    assert capsys.readouterr().out.splitlines() == [
        "ok       a, 0 s: all of it",
        "left out b, 0 s: no Python 3.99 here",
        "FAILED   c, 0 s: it differs",
        "FAILED   d, 0 s: CITATION.cff",
    ]


def test_a_command_knows_nothing_of_this_project(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "src")
    monkeypatch.setenv("NETWRIGHT_DATA", "data")
    program = "import os; print([name for name in os.environ if name in ('PYTHONPATH', 'NETWRIGHT_DATA', 'MORE')])"
    assert environments.said([sys.executable, "-c", program], tmp_path, MORE="1") == "['MORE']\n"


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(Failed, match="ended with 1:\nno such thing"):
        environments.said([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)


def test_a_python_that_is_not_there_is_left_out(tmp_path):
    assert environments.python_of(check.RUNNING, ()) is not None
    with pytest.raises(check.LeftOut, match=r"no Python 2\.99 here; name one by --python"):
        check.Given(tmp_path, (tmp_path / "python2.99",), False).python("2.99")


def test_a_package_that_nothing_brings_is_refused():
    missing = {"missing": {"onnxruntime": ["netwright.export.onnx"], "strange.part": ["netwright.odd"]}}
    with pytest.raises(Failed, match=r"'strange\.part': 'netwright\.odd'") as refused:
        check._refuse_missing(missing, {"onnxruntime"})
    assert "onnxruntime" not in str(refused.value)
