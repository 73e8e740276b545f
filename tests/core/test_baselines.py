"""A result stands beside what a constant answer gives, and one that is no better is called so."""

import pytest

from netwright.core import baselines
from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective

ACCURACY = Objective("valid_accuracy", shown="share")
LOSS = Objective("valid_loss", -1)
KNOWN = (
    Baseline("valid_accuracy", 0.9, "the largest class is 90.00 % of it", "no better than naming it always"),
    Baseline("valid_loss", 0.33, "the shares of the classes alone give 0.3300"),
)


@pytest.mark.parametrize(
    ("objective", "value", "text"),
    [
        (
            ACCURACY,
            0.9,
            "(higher is better; the largest class is 90.00 % of it: no better than naming it always)",
        ),
        (
            ACCURACY,
            0.9 + 1e-12,
            "(higher is better; the largest class is 90.00 % of it: no better than naming it always)",
        ),
        (ACCURACY, 0.92, "(higher is better; the largest class is 90.00 % of it)"),
        (LOSS, 0.1, "(lower is better; the shares of the classes alone give 0.3300)"),
        (LOSS, 0.4, "(lower is better; the shares of the classes alone give 0.3300: no better than that)"),
        (Objective("params", -1), 3, "(lower is better)"),
    ],
)
def test_what_stands_beside_the_best(objective, value, text):
    assert baselines.beside(objective, value, KNOWN) == text


def test_they_are_remembered():
    assert baselines.from_json(baselines.to_json(KNOWN)) == KNOWN
    assert baselines.from_json(None) == ()
    assert KNOWN[0].on("x").name == "x_valid_accuracy"
