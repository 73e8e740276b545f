import psutil

from netwright.core import memory


def test_a_limit_of_the_process_counts(monkeypatch):
    unbound = memory.most()
    limits = {psutil.RLIMIT_AS: (3_000_000, psutil.RLIM_INFINITY), psutil.RLIMIT_DATA: (2_000_000, 9_000_000)}
    monkeypatch.setattr(psutil.Process, "rlimit", lambda _process, kind: limits[kind])
    assert (memory.most(), memory.share()) == (2_000_000, 1_000_000)
    monkeypatch.setattr(psutil.Process, "rlimit", lambda _process, _kind: (psutil.RLIM_INFINITY,) * 2)
    assert unbound <= memory.most() <= psutil.virtual_memory().total


def test_bytes_for_people():
    sizes = (1, 1.47e6, 147e6, 3.01e9, 1.2e12)
    assert [memory.size_text(n) for n in sizes] == ["0.1 MB", "1.5 MB", "147 MB", "3.0 GB", "1,200.0 GB"]
