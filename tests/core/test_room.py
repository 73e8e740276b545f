import psutil
import pytest

from netwright.core import memory, room
from netwright.core.errors import WorkerError
from netwright.core.room import refuse_crowd


@pytest.fixture
def free(monkeypatch, tmp_path):
    """Sets the memory that is free, in 10**6 bytes, outside of any container."""
    monkeypatch.setattr(memory, "GROUP", tmp_path)

    def to(megabytes):
        memory = type("Memory", (), {"available": megabytes * 1e6})
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)

    return to


def test_as_many_as_memory_holds_and_always_one(free):
    free(1000)
    refuse_crowd("w", 2, 2, 350)
    refuse_crowd("w", 16, 1, 350)
    with pytest.raises(WorkerError, match=r"w is 3, but the 1.0 GB of memory .* hold 2 processes .* at most 2"):
        refuse_crowd("w", 3, 3, 350)
    free(10)
    refuse_crowd("w", 1, 1, 350)


@pytest.mark.parametrize("asked", [room.MOST + 1, 10**6, 10**30])
def test_absurd_numbers_are_refused_even_where_few_would_start(free, asked):
    free(1000)
    with pytest.raises(WorkerError, match=f"w is {asked}"):
        refuse_crowd("w", asked, 1, 350)


@pytest.mark.parametrize("names", memory.GROUP_FILES)
def test_the_limit_of_a_container_counts(free, tmp_path, names):
    free(8000)
    for name, text in zip(names, (str(2_000 * 10**6), str(500 * 10**6)), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert room.free_mb() == 1500
    (tmp_path / names[0]).write_text("max")
    assert room.free_mb() == 8000
