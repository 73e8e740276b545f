"""What changes in the course of an evaluation, as JSON."""

import json

from netwright.training.course import Cut, Stall
from netwright.training.loop import Progress
from netwright.training.standing import Measurement, Standing, so_far
from netwright.training.validation import Record


def test_facts_are_json_and_give_the_same_standing_back(tmp_path):
    done = [Measurement({"valid_accuracy": 0.5}, 1.25, 100, 3.5, 8, "late", 9, (7,), ("said",))]
    progress = Progress(5, 1, 1, 2.5, 125, 4.5)
    state = Standing(tmp_path, 7, "key", progress, done, [(4, 0.25)], 9.0, {"scale": 2.0}, 8, [0, 4])
    state.cut, state.stall = Cut(6, 8, "deadline", (4, 5)), Stall(0.5, 2, 4)
    state.record = Record(0.5, 4, 1.5, 8, recent=(0.25, 0.5), averaged_from=8, reloaded=(6,))
    facts = json.loads(json.dumps(state.facts()))
    assert Standing.of(tmp_path, facts) == state
    assert facts["progress"] == {"step": 5, "epoch": 1, "batches": 1, "total": 2.5, "images": 125, "seconds": 4.5}
    assert facts["done"] == [[{"valid_accuracy": 0.5}, [1.25, 100, 3.5, 8, "late", 9, [7], ["said"]]]]


def test_a_training_that_is_done_makes_room_for_the_next():
    state = Standing(None, 7, progress=Progress(5))
    state.finish(Measurement({}, 1.0, 100, 3.5))
    assert (state.progress, len(state.done)) == (Progress(), 1)


def test_what_trainings_measured_so_far_is_what_all_of_them_did():
    one, two = (Measurement({"valid_accuracy": x, "valid_loss": 2 * x, "params": 9}, 1.0, 1, 1.0) for x in (0.25, 0.75))
    names = ["valid_loss", "valid_accuracy"]
    assert list(so_far([one, two], names).items()) == [("valid_loss_so_far", 1.0), ("valid_accuracy_so_far", 0.5)]
    assert so_far([], names) == {}
    assert so_far([one, Measurement({}, 1.0, 1, 1.0)], names) == {}, "of a process that measures nothing itself"


def test_a_checkpoint_of_an_older_release_has_no_cut(tmp_path):
    facts = Standing(tmp_path, 7, "key").facts()
    del facts["cut"], facts["stall"]
    assert Standing.of(tmp_path, facts) == Standing(tmp_path, 7, "key")
