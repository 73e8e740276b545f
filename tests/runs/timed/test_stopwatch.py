"""The time of a timed run, over several sessions."""

import pytest

from netwright.core.errors import StoreError
from netwright.runs.timed import stopwatch
from netwright.runs.timed.stopwatch import Stopwatch


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def test_the_seconds_of_sessions_add_up(tmp_path):
    clock = Clock()
    watch = Stopwatch(clock)
    clock.seconds += 30
    with watch.noting(tmp_path):
        clock.seconds += 12
    again = Stopwatch(clock)
    again.recall(tmp_path)
    clock.seconds += 1
    again.total = 60.0
    assert (again.used, again.left) == (43.0, 17.0)


def test_what_is_done_and_until_when():
    clock = Clock()
    watch = Stopwatch(clock)
    watch.total = 360.0
    watch.enter("search", 100.0)
    clock.seconds += 40
    assert watch.outlook().startswith("search, 1 min 0 s to go; 40 s of 6 min 0 s used, all done about ")
    watch.enter("export and report")
    assert watch.outlook().startswith("export and report; 40 s of 6 min 0 s used")


@pytest.mark.parametrize("text", ["nan", "-1", "", "soon", "1e300", "\x00", "9" * 200])
def test_a_damaged_note_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / stopwatch.FILE).write_text(text)
    with pytest.raises(StoreError) as refused:
        Stopwatch().recall(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / stopwatch.FILE} ")


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    with Stopwatch().noting(tmp_path / "gone"):
        pass
    assert not (tmp_path / "gone").exists()
