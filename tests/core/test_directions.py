"""An objective that calls the worst network the best is refused, wherever its metric's direction is known."""

import pytest

from netwright.core import building, directions
from netwright.core.directions import sign_of
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.tables.csv import csv

LOSS = Objective("valid_loss", -1)


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("valid_loss", -1),
        ("valLoss", -1),
        ("ValidLOSS", -1),
        ("test-error", -1),
        ("top1_err", -1),
        ("latency_ms", -1),
        ("seconds_per_epoch", -1),
        ("params", -1),
        ("RMSE", -1),
        ("perplexity12", -1),
        ("val_acc_200ep", 1),
        ("x-valid-accuracy@200", 1),
        ("macro_F1", 1),
        ("AUC", 1),
        ("top5", 1),
        ("val", None),
        ("signal", None),
        ("glossary", None),
        ("accuracy_loss", None),
        ("neg_log_loss", None),  # as scikit-learn has it
        ("neg_mean_squared_error", None),
        ("time_saved", None),
        ("loss_reduction", None),
        ("free_memory", None),
        ("examples_per_second", None),
        ("", None),
    ],
)
def test_names_that_tell(name, sign):
    known = None if name == "top1_err" else sign  # an error among the first is one of both kinds
    assert sign_of(name) == known


def test_what_is_stated_counts_more_than_a_name():
    assert not directions.fault(Objective("valid_loss"), [Objective("valid_loss", 1)])
    assert directions.fault(Objective("weight"), [Objective("weight", -1)])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["valid_loss"], "valid_loss is better when lower; write -valid_loss, or valid_loss! to call the highest best"),
        (["-accuracy"], "accuracy is better when higher; write accuracy, or -accuracy! to call the lowest best"),
        (["accuracy", "latency"], "latency is better when lower; write -latency"),
        (["-valid_loss", "-valid_loss"], "objectives name valid_loss twice"),
    ],
)
def test_wrong_objectives_are_refused_with_what_to_write(names, told):
    with pytest.raises(BadRunFile, match=told):
        directions.check(names, [LOSS])


@pytest.mark.parametrize("text", ["valid_loss!", "-accuracy!", "-valid_loss", "accuracy", "val", "-val"])
def test_what_is_meant_or_right_or_not_known_is_taken(text):
    directions.check([text])
    read = Objective.read(text)
    assert str(read) == text
    assert str(read.moved_to("test")) == text.replace("valid_", "test_"), "also where the network is trained in full"


def test_what_nobody_reports_is_refused_where_all_is_known():
    with pytest.raises(BadRunFile, match="'valid_f1' is measured by nobody here; there are -valid_loss"):
        directions.check(["valid_f1"], [LOSS], [LOSS])
    directions.check(["valid_f1"], [LOSS])


@pytest.mark.parametrize("evaluator", ["training", "netwright.testing.toys:ToyEvaluator"])
@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        (("valid_nothing",), "is measured by nobody here; there are valid_accuracy"),
        (("params",), "params is better when lower"),
        (("valid_accuracy", "-params"), "ranks by one objective, the run has 2"),
    ],
)
def test_a_run_is_refused_where_its_parts_are_made(evaluator, objectives, told):
    run = RunFile(evaluator=Reference(evaluator), strategy=Reference("asha"), objectives=objectives)
    with pytest.raises((BadRunFile, BadReference), match=told):
        building.build(run)


def test_columns_of_tables_are_held_to_the_same(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("g,val_loss,acc\n1,0.5,0.7\n2,0.4,0.8\n")
    for columns, told in (
        ({"signal": "val_loss"}, "signal of table 't' is 'val_loss': val_loss is better when lower"),
        ({"signal": "acc", "final": "-acc"}, "final of table 't' is '-acc': acc is better when h"),
    ):
        with pytest.raises(BadReference, match=told):
            csv(str(path), genes=("g",), **columns)
    assert csv(str(path), genes=("g",), signal="-val_loss", final="acc").objective == "-signal"
    assert csv(str(path), genes=("g",), signal="val_loss!").lookup((0,))["signal"] == 0.5
