import pytest

from netwright.core import extras
from netwright.core.errors import MissingCapability


def test_what_is_missing_is_said_with_the_extra_that_brings_it(tmp_path, monkeypatch):
    (tmp_path / "absent_library").mkdir()  # a folder of that name is no library
    monkeypatch.syspath_prepend(tmp_path)
    for attempt in (
        lambda: extras.check("absent_library", "mlflow", "the observer x"),
        lambda: extras.load("absent_library.part", "mlflow", "the observer x"),
    ):
        with pytest.raises(MissingCapability, match=r"the observer x needs the package absent_library.*netwright\[mlf"):
            attempt()


def test_what_is_there_is_imported():
    extras.check("json", "x", "y")
    assert extras.load("json.decoder", "x", "y").JSONDecoder
