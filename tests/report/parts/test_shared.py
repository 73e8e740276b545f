from dataclasses import replace

import pytest

from netwright.core.trained_rounds import SHARED, TrainedRound, note
from netwright.report.parts import shared
from netwright.report.parts.shared import part

ROUNDS = [TrainedRound(1, 60, 90.0, 2.25, 8), TrainedRound(2, 1_200, 180.0, 2.0, 8)]


class Run:
    def __init__(self, place):
        self.place = place


def test_there_is_a_part_only_where_weights_were_shared(tmp_path):
    assert part.figure(Run(None)) is None
    assert part.figure(Run(tmp_path)) is None
    (tmp_path / SHARED).mkdir()
    for each in ROUNDS:
        note(tmp_path / SHARED, each)
    (axes,) = part.figure(Run(tmp_path)).axes
    (line,) = axes.lines
    assert list(line.get_xdata()) == pytest.approx([1.5, 3.0]) and list(line.get_ydata()) == [2.25, 2.0]
    page = part.section(Run(tmp_path), " of a run", "")
    assert "Shared weights of a run" in page and "1,200" in page and "3.0 minutes besides the trials" in page


def test_one_round_is_drawn_too():
    assert shared.figure([replace(ROUNDS[0])]).axes
