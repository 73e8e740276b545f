"""Hypothesis draws the same examples every time, however slow the machine."""

from hypothesis import settings

settings.register_profile("netwright", deadline=None, derandomize=True, database=None)
settings.load_profile("netwright")
