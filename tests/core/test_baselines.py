"""A result stands beside what a constant answer gives, and one that is no better is called so."""

import pytest

from netwright.core import baselines, remembered
from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective
from netwright.stores.memory import MemoryStore

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
    store = MemoryStore()
    assert remembered.baselines(store) == ()
    store.remember("baselines", baselines.to_json(KNOWN))
    assert remembered.baselines(store) == KNOWN
    assert KNOWN[0].on("x").name == "x_valid_accuracy"
