"""Observers are told what workers of other processes write, and each end once."""

from dataclasses import replace

import pytest

from netwright.core.records import WorkerState
from netwright.runs.observing import Callbacks, Observing, loaded


class Workers:
    def __init__(self):
        self.state = WorkerState("w0", 1, "step 9 of 9", 0.1)

    def workers(self):
        return [self.state]


class Ends:
    def __init__(self):
        self.ends = []

    def on_begin(self, run):
        pass

    def on_step(self, trial_id, step, total, values):
        pass

    def on_trial(self, trial):
        pass

    def on_end(self, facts):
        self.ends.append(facts)


def test_steps_of_workers_are_told_when_they_are_new_and_surely_of_that_trial():
    heard, seconds, store = [], [0.0], Workers()
    observing = Observing([Callbacks(None, lambda *step: heard.append(step))], print, lambda: seconds[0])
    observing.begin(None, store)

    def look(trial, text):
        store.state = replace(store.state, trial_id=trial, activity=text)
        seconds[0] += 1.5
        observing.tick()
        observing.tick()  # too soon for another look

    look(7, "step 9 of 9")  # may still be of the trial before
    look(7, "")
    look(7, "step 2 of 9, train_loss 0.5")
    look(7, "step 2 of 9, train_loss 0.5")
    look(7, "writes")
    look(8, "step 4 of 9")
    look(8, "step 5 of 9")
    assert heard == [(7, 2, 9, {"train_loss": 0.5}), (8, 5, 9, {})]


@pytest.mark.parametrize(
    ("error", "ending"), [(KeyboardInterrupt, "drained"), (LookupError, "drained"), (ValueError, "failed")]
)
def test_the_end_is_told_once_whatever_it_is(error, ending):
    listens = Ends()
    observing = Observing([listens], print)

    def plays():
        with observing.until_over(LookupError), observing.until_over(LookupError):
            observing.begin(None, Workers())
            raise error

    with pytest.raises(error):
        plays()
    assert listens.ends == [{"ending": ending}]
    with observing.until_over(LookupError):
        pass
    assert len(listens.ends) == 1, "what did not begin does not end"


def test_functions_are_an_observer():
    assert loaded([]) == []
    assert len(loaded(["tests.runs.test_observing:Ends"], print)) == 2
