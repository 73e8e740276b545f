"""Trainings in which the validation data decides, and whose passes have random numbers of steps."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import load_file

from netwright.core import seeds
from netwright.core.errors import BadReference, MissingCapability, PutBack
from netwright.core.records import Proposal, Trial
from netwright.evaluators.training import Training
from netwright.spaces.rnn import RnnSpace
from netwright.stores.memory import MemoryStore
from netwright.tasks.text import text
from netwright.training import loop
from netwright.worker import WorkerContext
from tests.carries import STEPS, Space, Text

TRIAL = Trial(1, Proposal((0,)), "key", 7, "running")


class Killed(BaseException):
    """As a kill would: not caught on the way."""


class Streamed(Text):
    """The toy's tokens in batches of random lengths, which the generator of the pass draws."""

    def __init__(self):
        self.passes = []

    def lengths(self, split, size, rng):
        total = super().examples(split)
        if rng is None:
            return [STEPS] * (total // STEPS)
        found = []
        while sum(found) < total:
            found.append(min(int(rng.integers(2, 9)), total - sum(found)))
        return found

    def batches(self, split, size, rng):
        whole = [torch.cat(parts, 1) for parts in zip(*super().batches(split, size, None), strict=True)]
        start = 0
        if rng is not None:
            self.passes.append(0)
        for length in self.lengths(split, size, rng):
            if rng is not None:
                self.passes[-1] += 1
            yield tuple(part[:, start : start + length] for part in whole)
            start += length


def _evaluate(folder=None, task=None, on_report=None, trial=TRIAL, on_look=lambda: False, **settings):
    options = {"batch": 4, "lr": 0.5, "momentum": 0.5, "schedule": "constant", "save": folder is not None, **settings}
    evaluator = Training(Space(), task or Streamed(), **options)
    context = WorkerContext(MemoryStore(), folder, trial.id, on_look=on_look)
    context.on_report = on_report or (lambda step, metrics: True)
    return evaluator.evaluate(trial, context)


def _exact(result):
    return {n: v for n, v in result.metrics.items() if "second" not in n and "memory" not in n}, result.curve


def _weights(folder, number=1):
    return load_file(folder / f"{number:06}" / "weights.safetensors")


def _counts(epochs, repeat=0):
    task, seed = Streamed(), TRIAL.seed
    return [len(task.lengths("train", 4, seeds.rng_for(seed, seeds.TRAIN, n, repeat))) for n in range(epochs)]


def test_epochs_are_passes_whatever_their_lengths():
    task, counts = Streamed(), _counts(5)
    assert len(set(counts)) > 1
    result = _evaluate(task=task, epochs=5, curve_every=2)
    assert task.passes == counts
    assert [step for step, _ in result.curve] == [sum(counts[:2]), sum(counts[:4]), sum(counts)]
    budget = Trial(1, Proposal((0,), budget=3), "key", 7, "running")
    assert _evaluate(trial=budget).curve[-1][0] == sum(counts[:3])
    task = Streamed()
    _evaluate(task=task, epochs=2, repeats=2)
    assert task.passes == [*counts[:2], *_counts(2, repeat=1)]


def test_a_promotion_in_counted_passes_ends_as_one_training_does(tmp_path):
    options = {"horizon": 7, "non_monotone": 1, "keep_best": True, "lr": 3.0}
    proposal = Proposal((0,), budget=7)
    whole = _evaluate(tmp_path / "whole", trial=replace(TRIAL, proposal=proposal), **options)
    _evaluate(tmp_path / "parts", trial=replace(TRIAL, proposal=replace(proposal, budget=5)), **options)
    second = Trial(2, replace(proposal, continues=1), "key", 7, "running")
    found = _evaluate(tmp_path / "parts", trial=second, **options)
    assert found.metrics["carried_steps"] == sum(_counts(5))
    assert found.metrics["valid_perplexity"] == min(value for _, value in whole.curve[:5]), "else nothing is carried"
    assert "weights are averaged" in found.message
    assert (found.metrics["valid_perplexity"], found.curve) == (whole.metrics["valid_perplexity"], whole.curve)


def test_the_best_weights_are_measured_and_saved(tmp_path):
    """At this rate it becomes worse again; the curve is the validation of each pass."""
    options = {"epochs": 8, "lr": 3.0}
    last = _evaluate(tmp_path / "last", curve_every=1, **options)
    best = _evaluate(tmp_path / "best", keep_best=True, **options)
    assert best.curve == last.curve
    least = min(best.curve, key=lambda point: point[1])
    assert least[0] < best.curve[-1][0], "else this shows nothing"
    assert best.metrics["valid_perplexity"] == least[1] < last.metrics["valid_perplexity"]
    there = next(n for n in range(1, 9) if sum(_counts(n)) == least[0])
    _evaluate(tmp_path / "there", epochs=there, lr=3.0)
    assert all(torch.equal(value, _weights(tmp_path / "there")[n]) for n, value in _weights(tmp_path / "best").items())


def test_the_test_data_is_measured_once_with_weights_chosen_on_the_validation_data():
    found = _evaluate(epochs=6, lr=3.0, keep_best=True, split="test")
    chosen = _evaluate(epochs=6, lr=3.0, keep_best=True)
    assert found.curve == chosen.curve
    assert list(found.metrics)[:1] == ["test_perplexity"]
    assert [step for step, _ in found.curve] == [sum(_counts(n)) for n in range(1, 7)], "the training part alone"
    both = Streamed()
    _evaluate(task=both, epochs=1, split="test")
    assert both.passes[0] > max(_counts(6)), "else all other data is trained on"


def test_weights_are_averaged_plainly_from_the_switch_on(monkeypatch):
    """The last pass's measurement is of the mean of the weights after each step since."""
    seen, measured = [], []
    original, steps = loop.measure, loop.steps

    def watched(passes, descent, *others):
        for at in steps(passes, descent, *others):
            if not at.ends_pass:
                seen.append({name: value.clone() for name, value in descent.network.state_dict().items()})
            yield at

    def measure(network, *others):
        measured.append((len(seen), {name: value.clone() for name, value in network.state_dict().items()}))
        return original(network, *others)

    monkeypatch.setattr(loop, "steps", watched)
    monkeypatch.setattr(loop, "measure", measure)
    result = _evaluate(epochs=10, lr=2.0, non_monotone=1)
    start = int(result.message.removeprefix("weights are averaged from step ").removesuffix(" on"))
    assert 0 < start < len(seen)
    for count, weights in measured:
        for name, value in weights.items():
            values = [each[name] for each in seen[:count]]
            wanted = values[-1] if count <= start else torch.stack(values[start:]).double().mean(0).float()
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
    assert sum(count > start for count, _ in measured) > 1


@dataclass
class Faulty(Streamed):
    """Targets' loss is not a number in some steps, counted over all passes."""

    at: tuple[int, ...]

    def __post_init__(self):
        super().__init__()
        self.step = 0

    def loss(self, outputs, targets):
        self.step += 1
        return super().loss(outputs, targets) * (math.nan if self.step in self.at else 1.0)


def test_after_a_loss_that_is_not_finite_the_best_weights_are_loaded(tmp_path):
    first = sum(_counts(2))
    task = Faulty((first + 1, first + 30))
    found = _evaluate(tmp_path, task, epochs=5, reloads=2, non_monotone=3)
    assert not found.failure
    assert found.message.startswith("the loss was not finite at step ")
    assert len(found.message.split("step ")[1].split(",")) == 3, "two steps, and where they were"
    assert [step for step, _ in found.curve] == [sum(_counts(n)) for n in range(1, 6)], "no step is done again"
    assert math.isfinite(found.metrics["valid_perplexity"]) and math.isfinite(found.metrics["train_loss"])
    assert all(torch.isfinite(value).all() for value in _weights(tmp_path).values())


@pytest.mark.parametrize(("at", "reloads", "points"), [((3,), 9, 0), ((30, 60), 1, 1), ((30,), 0, 1)])
def test_it_fails_where_there_is_nothing_to_load_or_not_so_often(at, reloads, points):
    found = _evaluate(task=Faulty(at), epochs=6, reloads=reloads, curve_every=1)
    assert (found.failure, found.message[:16]) == ("diverged", "the loss is nan ")
    assert len(found.curve) >= points


OPTIONS = {"epochs": 7, "lr": 3.0, "momentum": 0.0, "reloads": 1, "non_monotone": 1, "keep_best": True}
OPTIONS |= {"split": "test"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Result, message, and the bytes of the weights; and how often it was asked to stop."""
    folder, looks = tmp_path_factory.mktemp("whole"), []
    result = _evaluate(folder, Inputs(), on_look=lambda: looks.append(0), **OPTIONS)
    assert result.message == (
        "weights are averaged from step 65 on; the loss was not finite at step 40, where the best weights so far were "
        "loaded"
    )
    assert min(result.curve, key=lambda point: point[1])[0] == 84 < result.curve[-1][0]
    weights = (folder / "000001" / "weights.safetensors").read_bytes()
    return (_exact(result), result.message, weights), len(looks)


def _found(folder, **options):
    result = _evaluate(folder, Inputs(), **options, **OPTIONS)
    return _exact(result), result.message, (folder / "000001" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("kill_at", [7, 47, 61, 80, 115])
def test_a_killed_training_goes_on_bit_for_bit(tmp_path, undisturbed, kill_at):
    """In the middle of passes, before and after the switch and the reload; the fault is in the data, not in time."""
    said = []

    def kill(step, metrics):
        said.append(step)
        if len(said) == kill_at:
            raise Killed
        return True

    with pytest.raises(Killed):
        _evaluate(tmp_path, Inputs(), on_report=kill, checkpoint_minutes=1e-9, **OPTIONS)
    assert _found(tmp_path, checkpoint_minutes=1e-9) == undisturbed[0]


@pytest.mark.parametrize("looks", [[25, 7, 31, 40, 22, 12], [-3]])
def test_a_training_stopped_in_its_measurements_goes_on_bit_for_bit(tmp_path, undisturbed, looks):
    """A look after each step, and for each batch that is measured: also at the end, after the last validation."""
    stopped = 0
    for at in (look % undisturbed[1] for look in looks):
        left = [at]

        def look(left=left):
            left[0] -= 1
            return left[0] <= 0

        try:
            _evaluate(tmp_path, Inputs(), on_look=look, **OPTIONS)
        except PutBack:
            stopped += 1
    assert stopped == len(looks)
    assert _found(tmp_path) == undisturbed[0]


class Inputs(Streamed):
    """The loss is not a number for one batch of one pass, whoever asks for it."""

    def batches(self, split, size, rng):
        marked = rng is not None and rng.bit_generator.state["state"]["counter"][2] == 2
        for number, (inputs, targets) in enumerate(super().batches(split, size, rng)):
            yield inputs, torch.full_like(targets, -100) if marked and number == 4 else targets


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"non_monotone": 5, "ema": 0.9}, BadReference, "evaluator.ema and evaluator.non_monotone both average"),
        ({"non_monotone": -1}, BadReference, "evaluator.non_monotone is -1; it must be at least 0"),
        ({"reloads": -1}, BadReference, "evaluator.reloads is -1; it must be at least 0"),
        ({"dropout_hidden": 1.0}, BadReference, "evaluator.dropout_hidden is 1.0; it must be below 1"),
        ({"dropout_words": 0.1}, MissingCapability, "set evaluator.drop_path_keep to 1 and evaluator.dropout and all"),
        ({"temporal_penalty": math.inf}, BadReference, "evaluator.temporal_penalty is inf; it must be at least 0"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, error, message):
    with pytest.raises(error, match=message):
        _evaluate(steps=1, **settings)


def test_a_recurrent_space_is_trained_on_a_text_with_all_of_it(tmp_path):
    """Each option changes the result; the passes are those of the text."""
    path = tmp_path / "text.txt"
    path.write_text("it was the best of times it was the worst of times " * 30)
    task = text(str(path), steps=8, varied=True, valid_rows=2)
    space = RnnSpace(width=6, nodes=2)
    trial = Trial(1, Proposal(space.sample(seeds.rng_for(0, seeds.ASK))), "key", 7, "running")

    def trained(**settings):
        evaluator = Training(space, task, epochs=2, batch=4, lr=2.0, momentum=0.0, keep_best=True, **settings)
        result = evaluator.evaluate(trial, WorkerContext(MemoryStore(), None, 1))
        return result.metrics["valid_perplexity"], [step for step, _ in result.curve]

    kinds = ("embedding", "input", "hidden", "output", "words")
    options = {f"dropout_{kind}": 0.3 + 0.1 * place for place, kind in enumerate(kinds)}
    options |= {"activation_penalty": 20.0, "temporal_penalty": 20.0, "rate_by_length": True}
    found = [trained(), *(trained(**{name: value}) for name, value in options.items())]
    lengths = [len(task.lengths("train", 4, seeds.rng_for(7, seeds.TRAIN, epoch))) for epoch in range(2)]
    assert {tuple(steps) for _, steps in found} == {(lengths[0], sum(lengths))}
    assert len({value for value, _ in found}) == len(found)
