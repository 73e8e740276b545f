"""A regression on vectors, a space for it and all that is done with them, in this file alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netwright
from netwright.core import genes, sealed
from netwright.core.errors import BadReference, ExportError, StoreError
from netwright.core.genes import Choice, Integer
from netwright.core.objectives import Objective
from netwright.core.records import IO, LabeledGraph
from netwright.core.shapes import Numbers, Vector
from netwright.export.media.predict import predict
from netwright.plans import counting, network
from netwright.plans.plan import PlanWriter
from netwright.runs import session
from netwright.stores.sqlite import SqliteStore
from netwright.testing.spaces import check_space
from netwright.testing.tasks import check_task

SPLITS = {"train": (0, 240), "valid": (240, 320), "train+valid": (0, 320), "test": (320, 400)}


@dataclass(frozen=True)
class Regression:
    """Two numbers from six, by a function that is not linear.

    Args:
        seed: Draws the data.
    """

    seed: int = 0

    io: ClassVar[IO] = IO(Vector(6), Numbers(2))
    measures: ClassVar[tuple[Objective, ...]] = (Objective("loss", -1),)

    @cached_property
    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng(self.seed)
        inputs = rng.normal(size=(400, 6))
        targets = np.abs(inputs @ rng.normal(size=(6, 2))) + 0.1 * rng.normal(size=(400, 2))
        return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)

    def examples(self, split):
        first, last = SPLITS[split]
        return last - first

    def batches(self, split, size, rng) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        places = np.arange(*SPLITS[split])
        if rng is not None:
            places = rng.permutation(places)
        for start in range(0, len(places), size):
            chosen = places[start : start + size]
            if rng is not None and len(chosen) < size <= len(places):
                return
            yield tuple(part[chosen] for part in self.data)

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets)

    def metrics(self, outputs, targets):
        return {"loss": (outputs - targets).square().mean(1), "error": (outputs - targets).abs().mean(1)}

    def caveats(self):
        return ("the numbers are made up",)


@dataclass(frozen=True)
class Perceptrons:
    """One hidden layer, or none."""

    accepts: ClassVar[tuple[type, ...]] = (Vector,)
    genes: ClassVar = (Integer("width", 2, 32), Choice("hidden", ("no", "yes"), kind="layer"))

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def mutate(self, genotype, rng):
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype):
        genes.check(self.genes, genotype)

    def plan(self, genotype, io):
        width, is_deep = map(int, genotype)
        plan = PlanWriter(io)
        x = plan.image
        if is_deep:
            x = plan.relu(plan.linear(x, width))
        plan.linear(x, io.outputs)
        return plan.plan()

    def build(self, genotype, io, rng):
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype, io):
        return counting.count(self.plan(genotype, io))

    def key(self, genotype):
        return genes.digest(f"perceptron {genotype if genotype[1] else 0}")

    def graph(self, genotype):
        nodes = ("inputs", f"{genotype[0]} features", "outputs") if genotype[1] else ("inputs", "outputs")
        return LabeledGraph("perceptron", nodes, tuple((n, n + 1, "linear") for n in range(len(nodes) - 1)))


def test_the_task_keeps_every_contract():
    check_task(Regression())


def test_the_space_keeps_every_contract():
    check_space(Perceptrons(), Regression.io)


class WithoutItsMeasure(Regression):
    measures = (Objective("accuracy"),)


class OneNumber(Regression):
    def metrics(self, outputs, targets):
        return {"loss": self.loss(outputs, targets)}


class OtherInputs(Regression):
    io = IO(Vector(5), Numbers(2))


@pytest.mark.parametrize("kind", [WithoutItsMeasure, OneNumber, OtherInputs])
def test_a_task_that_breaks_a_contract_is_found_out(kind):
    with pytest.raises(AssertionError):
        check_task(kind())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Searched and trained in full."""
    run = netwright.Run(
        tmp_path_factory.mktemp("regression") / "run",
        space=f"{__name__}:Perceptrons",
        strategy="random",
        task=f"{__name__}:Regression",
        executor="inline",
        trials=4,
        changes={"evaluator": {"steps": 30, "batch": 32, "lr": 0.05}},
    )
    run.search()
    return run, run.train(epochs=20)


@pytest.fixture(scope="module")
def out(run):
    """The export of the network that was trained."""
    return run[0].export(run[0].folder.parent / "out")


def test_the_smallest_loss_is_the_best(run):
    losses = [trial.result.metrics["valid_loss"] for trial in run[0].trials]
    assert len(losses) == 4
    assert run[0].best.result.metrics["valid_loss"] == min(losses)
    assert run[0].best.scores == (-min(losses),)
    assert run[0].settings.objectives == ("-valid_loss",)


def test_training_in_full_measures_the_loss_and_finds_no_images_to_compare_with(run):
    [final] = run[1]
    assert final.objective.name == "test_loss" and final.objective.is_minimized
    assert not (final.folder / "outcome.safetensors").exists()
    assert (final.folder / "weights.safetensors").exists()


def test_the_report_speaks_of_the_loss_and_shows_no_images(run):
    page = run[0].report()
    text = page.read_text()
    assert "Objective: valid_loss, minimized." in text
    assert "Note: the numbers are made up." in text
    assert not (page.parent / "confusion.svg").exists()


def test_what_is_exported_computes_what_was_trained(run, out):
    """In a process without netwright, in netwright, and as a graph."""
    assert {path.name for path in out.iterdir()} == {
        *("README.md", "architecture.json", "cell.png", "cell.svg", "metrics.json", "model.py", "program.pt2"),
        *("run.toml", "weights.safetensors"),
    }
    facts = json.loads((out / "metrics.json").read_text())
    assert facts["test_loss"] == run[1][0].mean
    assert facts["test_examples"] == 80
    inputs, targets = next(Regression().batches("test", 80, None))
    with torch.inference_mode():
        outputs = netwright.load(out)(inputs)
        assert float(F.mse_loss(outputs, targets)) == pytest.approx(facts["test_loss"], rel=1e-5)
        torch.testing.assert_close(torch.export.load(out / "program.pt2").module()(inputs), outputs)
    alone = "import sys; sys.modules['netwright'] = None; sys.path.insert(0, '.'); import json, torch; "
    alone += "from model import load; print(json.dumps(load()(torch.tensor(json.loads(sys.argv[1]))).tolist()))"
    command = [sys.executable, "-I", "-B", "-c", alone, json.dumps(inputs[:3].tolist())]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, check=True)
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), outputs[:3])


def test_the_card_says_what_it_is_and_runs_as_it_stands(out, monkeypatch):
    card = (out / "README.md").read_text()
    assert "It takes vectors of 6 and gives 2 numbers." in card
    assert "on 80 test examples" in card
    assert "Note: the numbers are made up." in card
    assert "image" not in card
    [first, second] = [block.partition("```")[0] for block in card.split("```python\n")[1:]]
    subprocess.run([sys.executable, "-B", "-c", first], cwd=out, capture_output=True, check=True)
    monkeypatch.chdir(out)
    exec(compile(second, "README.md", "exec"), {"__name__": "__main__"})


def test_its_export_predicts_from_no_image_files(out, tmp_path):
    with pytest.raises(ExportError, match=r"takes vectors of 6; only one for images predicts from files"):
        list(predict(out, [tmp_path / "a.png"]))


class WithFingerprint(Regression):
    def fingerprint(self):
        return "new"


def test_other_data_is_called_what_it_is(tmp_path):
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.remember("data", "old")
    store.close()
    with pytest.raises(StoreError, match=r"^the vectors, numbers or splits of the task have changed"):
        session.refuse_other_data(tmp_path, WithFingerprint())


def test_a_tampered_weight_is_refused(run, tmp_path):
    [final] = run[1]
    path = final.folder / "weights.safetensors"
    kept = path.read_bytes()
    path.write_bytes(sealed.seal(kept[:-4] + np.float32(9.0).tobytes()))
    try:
        with pytest.raises(ExportError, match=r"on 80 test examples, but training recorded .*: weights and"):
            run[0].export(tmp_path / "out")
    finally:
        path.write_bytes(kept)
    assert not (tmp_path / "out").exists()


def test_it_is_not_searched_among_networks_for_images(tmp_path):
    run = netwright.Run(tmp_path / "run", space="residual", task=f"{__name__}:Regression", executor="inline", trials=1)
    with pytest.raises(BadReference, match=r"images.*, but vectors of 6 go in"):
        run.search()
    assert not (tmp_path / "run").exists()
