"""What holds for all tests: one thread a process, and the same examples every time, however slow the machine."""

import gc
import os

from hypothesis import settings

# before any test imports numpy or torch: two processes of two threads each wait for one another on two cores
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("netwright", deadline=None, derandomize=True, database=None)
settings.load_profile("netwright")


def pytest_collection_finish():
    """What the modules of tests have made stays: to look through it for garbage again and again takes a tenth."""
    gc.collect()
    gc.freeze()
