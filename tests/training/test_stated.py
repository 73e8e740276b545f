"""What a training says of itself, by its options and task alone."""

import pytest
import torch

from netwright.tasks.digits import digits
from netwright.training import stated
from netwright.training.options import Options

TASK, PACE = digits(train_limit=50), (*[0.0] * 6, 1.0)


@pytest.mark.parametrize(
    ("options", "also"),
    [
        ({}, set()),
        ({"pace": PACE}, {"steps"}),
        ({"plateau": 3, "schedule": "constant"}, {"steps", "stopped_early"}),
        ({"cuts": (((3, 3),),), "schedule": "constant"}, {"steps", "broken_off"}),
        ({"repeats": 2}, {"valid_accuracy_sd", "valid_loss_sd"}),
    ],
)
def test_what_is_reported_follows_from_the_options(options, also):
    plain = {each.name for each in stated.metrics(Options(), TASK)}
    found = {each.name for each in stated.metrics(Options(**options), TASK)}
    assert {"valid_accuracy", "train_loss", "carried_steps"} <= plain and also <= found
    assert {name for name in found - plain if not name.endswith("_sd")} == {n for n in also if not n.endswith("_sd")}
    assert stated.metrics(Options(), object()) == (), "a task that does not say what it measures"


def test_advice_and_remarks():
    assert stated.advice(Options(), 9) == "promotions begin anew: give --evaluator.horizon 9 for them to go on"
    assert stated.advice(Options(horizon=9), 9) == ""
    assert stated.remarks(Options(), torch.device("cpu"), "cpu") == ()
