"""What holds for all tests: one thread a process, the same examples every time, however slow the machine, and no GPU.

GPUs are hidden from tests, and from all that they start, so that `device = "auto"` is the CPU on any machine. Only
where the marker is asked for, as by `pytest -m gpu`, are they seen; elsewhere the tests marked `gpu` are skipped.
"""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests import systems
from tests.verified import IS_VERIFIED

# before any test imports numpy or torch: two processes of two threads each wait for one another on two cores
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

EXAMPLES = 100 if IS_VERIFIED else 25  # of a property that says no number of its own
settings.register_profile("netwright", deadline=None, derandomize=True, database=None, max_examples=EXAMPLES)
settings.load_profile("netwright")


def pytest_configure(config):
    """Before any test, in each process of xdist too: CUDA looks at this once, when it is first used."""
    if not _asks_for_gpus(config):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") is None:
        return
    if not _asks_for_gpus(item.config):
        pytest.skip("needs a GPU, which only `pytest -m gpu` sees")
    import torch  # late: not every test needs it

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU, and torch sees none here")


def _asks_for_gpus(config):
    return "gpu" in config.option.markexpr and "not gpu" not in config.option.markexpr


@pytest.fixture(autouse=True, scope="session")
def _undrawn():
    """Many tests write reports, and few look at pictures: those ask for `drawn`."""
    from tests.undrawn import figures  # late: matplotlib

    with figures():
        yield


@pytest.fixture
def drawn():
    """For a test that looks at pictures."""
    from tests.undrawn import figures

    with figures(is_drawn=True):
        yield


def pytest_ignore_collect(collection_path):
    """Leaves out what does not work on this system, without importing it; names and reasons stand in `systems.py`."""
    place = collection_path.relative_to(Path(__file__).parents[1]).as_posix()
    return True if place in systems.left_out(sys.platform) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What the modules of tests make stays: to look through it for garbage again and again takes a tenth."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter):
    """What this system left out; what became of malformed input, where it was more than a few (`make fuzz`)."""
    for place, why in systems.left_out(sys.platform).items():
        terminalreporter.write_line(f"left out on {sys.platform}: {place}: {why}")
    if "NETWRIGHT_FUZZ" not in os.environ:
        return
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    noted = [pair for report in reports if report.when == "call" for pair in report.user_properties]
    found = {}
    for what, (target, inputs, refused, slowest) in noted:
        if what == "fuzzed":
            earlier = found.get(target, (0, 0, 0.0))
            found[target] = (earlier[0] + inputs, earlier[1] + refused, max(earlier[2], slowest))
    for target, (inputs, refused, slowest) in sorted(found.items()):
        terminalreporter.write_line(
            f"{target:24} {inputs:7,} inputs {refused:7,} refused, slowest {slowest:5.2f} s of CPU"
        )
    terminalreporter.write_line(f"{sum(each[0] for each in found.values()):,} inputs")
