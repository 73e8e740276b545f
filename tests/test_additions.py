"""An operation, a space, a task that is not images and an objective to be minimized, all in this file alone.

They are searched, trained, counted, drawn and exported by the commands that everybody has: an addition edits no file of
the package.
"""

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
from torch import Tensor, nn

import netwright
from netwright.cli.main import main
from netwright.core import genes
from netwright.core.genes import Choice, Integer
from netwright.core.objectives import Objective
from netwright.core.records import IO, LabeledGraph
from netwright.core.shapes import Numbers, Shape, Vector
from netwright.plans import counting, network
from netwright.plans.operation import Operation
from netwright.plans.plan import PlanWriter
from netwright.testing.spaces import check_space
from netwright.testing.tasks import check_task
from tests import believed


class Bending(nn.Module):
    """Each feature plus the sine of a learned multiple of it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((features,), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(self.weight * x)


@dataclass(frozen=True)
class Bend(Operation):
    """The operation that is added."""

    name: ClassVar[str] = "bend"
    has_weights: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{__name__}:Bending",)

    def shape(self, x: Shape) -> Shape:
        return x

    def params(self, x: Vector) -> int:
        return x.features

    def saved_bytes(self, x: Vector) -> int:
        return 4 * x.features

    def module(self, x: Vector) -> nn.Module:
        return Bending(x.features)

    def constructor(self, numerals, x: Vector) -> str:
        return f"Bending({numerals.channels(x.features)})"


@dataclass(frozen=True)
class Waves:
    """The task that is added: one number from four, which goes up and down with them."""

    seed: int = 0

    io: ClassVar[IO] = IO(Vector(4), Numbers(1))
    measures: ClassVar[tuple[Objective, ...]] = (Objective("distance", -1),)

    @cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(self.seed)
        inputs = rng.uniform(-2, 2, size=(300, 4))
        targets = np.sin(3 * inputs @ rng.normal(size=(4, 1)))
        return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)

    def examples(self, split):
        return len(self._places(split))

    def batches(self, split, size, rng) -> Iterator[tuple[Tensor, Tensor]]:
        places = self._places(split)
        if rng is not None:
            places = rng.permutation(places)
        for start in range(0, len(places), size):
            chosen = places[start : start + size]
            if rng is None or len(chosen) == min(size, len(places)):
                yield tuple(part[chosen] for part in self.data)

    def loss(self, outputs, targets):
        return F.smooth_l1_loss(outputs, targets)

    def metrics(self, outputs, targets):
        return {"distance": (outputs - targets).abs().mean(1)}

    @staticmethod
    def _places(split):
        first, last = {"train": (0, 200), "valid": (200, 250), "train+valid": (0, 250), "test": (250, 300)}[split]
        return np.arange(first, last)


@dataclass(frozen=True)
class Chains:
    """The space that is added: layers with a function behind each, which may be the new operation."""

    accepts: ClassVar[tuple[type, ...]] = (Vector,)
    genes: ClassVar = (Integer("width", 2, 16), Choice("first", ("relu", "bend")), Choice("second", ("relu", "bend")))

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def mutate(self, genotype, rng):
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype):
        genes.check(self.genes, genotype)

    def plan(self, genotype, io):
        plan = PlanWriter(io)
        x = plan.image
        for number, value in enumerate(genotype[1:], start=1):
            with plan.scope(f"layer{number}"):
                x = plan.linear(x, int(genotype[0]))
                x = plan.write(Bend(), x) if value else plan.relu(x)
        plan.linear(x, io.outputs)
        return plan.plan()

    def build(self, genotype, io, rng):
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype, io):
        return counting.count(self.plan(genotype, io))

    def key(self, genotype):
        return genes.digest(f"chain {genotype}")

    def graph(self, genotype):
        labels = [f"linear, {(Bend().label if value else 'relu')}" for value in genotype[1:]]
        nodes = ("inputs", *(f"{genotype[0]} features" for _ in labels), "outputs")
        edges = tuple((n, n + 1, label) for n, label in enumerate([*labels, "linear"]))
        return LabeledGraph("chain", nodes, edges)


BENT = (8, 1, 1)


def code(words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_they_keep_every_contract():
    check_task(Waves())
    check_space(Chains(), Waves.io)


def test_the_operation_is_counted():
    params = (4 * 8 + 8 + 8) + (8 * 8 + 8 + 8) + (8 + 1)
    counts = Chains().count(BENT, Waves.io)
    assert (counts.params, counts.multiply_adds) == (params, 4 * 8 + 8 * 8 + 8)
    found = Chains().build(BENT, Waves.io, np.random.default_rng(0))
    assert sum(weight.numel() for weight in found.parameters()) == params
    assert "layer1.bend1.weight" in dict(found.named_parameters())


def test_names_are_shared_where_networks_are_alike():
    one, other = (Chains().build(g, Waves.io, np.random.default_rng(0)).state_dict() for g in (BENT, (8, 1, 0)))
    assert one.keys() - other.keys() == {"layer2.bend1.weight"}
    assert not other.keys() - one.keys()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Searched by the command, in worker processes."""
    folder = tmp_path_factory.mktemp("additions") / "run"
    words = ["--space", f"{__name__}:Chains", "--task", f"{__name__}:Waves", "--trials", 5, "--workers", 1]
    words += ["--strategy", "aging(population=4,sample=2)"]
    words += ["--evaluator.steps", 20, "--evaluator.batch", 50, "--evaluator.lr", 0.05]
    assert code(["search", *words, "--out", folder]) == 0
    return netwright.Run(folder, trust=True)


def test_the_search_minimizes(run):
    found = [trial.result.metrics["valid_distance"] for trial in run.trials]
    assert len(found) == 5
    assert run.best.result.metrics["valid_distance"] == min(found)
    assert run.settings.objectives == ("-valid_distance",)


def test_it_is_shown_and_drawn(run, tmp_path, capsys):
    words = ["--space", f"{__name__}:Chains", "--genes", json.dumps(BENT), "--io", "vector=4:numbers=1"]
    assert code(["show", *words, "--out", tmp_path]) == 0
    assert "linear, bend" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"cell.png", "cell.svg", "cell-narrow.png", "cell-narrow.svg"}
    assert code(["status", run.folder]) == 0
    assert "valid_distance" in capsys.readouterr().out


def test_it_is_trained_reported_and_exported(run, tmp_path):
    assert code(["train", run.folder, "--epochs", 5, "--trust"]) == 0
    [final] = run.finals()
    assert final.objective == Objective("test_distance", -1)
    assert "Objective: valid_distance, minimized." in run.report().read_text()
    out = tmp_path / "out"
    with believed.exports():
        assert code(["export", run.folder, "--out", out, "--trust"]) == 0
    inputs, targets = next(Waves().batches("test", 50, None))
    with torch.inference_mode():
        distance = float((netwright.load(out)(inputs) - targets).abs().mean())
    assert distance == pytest.approx(final.mean, rel=1e-5)


def test_the_new_operation_is_exported_and_runs_without_netwright(tmp_path):
    run = netwright.Run(
        tmp_path / "run",
        space=f"{__name__}:Chains",
        strategy=f"listed(genotypes=[{list(BENT)}])",
        task=f"{__name__}:Waves",
        evaluator="training(steps=20, batch=50)",
        executor="inline",
        trials=1,
    )
    run.search()
    [final] = run.train(epochs=2)
    out = run.export(tmp_path / "out")
    assert "class Bending(nn.Module):" in (out / "model.py").read_text()
    inputs, targets = next(Waves().batches("test", 50, None))
    alone = "import sys; sys.modules['netwright'] = None; sys.path.insert(0, '.'); import json, torch; "
    alone += "from model import load; print(json.dumps(load()(torch.tensor(json.loads(sys.argv[1]))).tolist()))"
    command = [sys.executable, "-I", "-B", "-c", alone, json.dumps(inputs.tolist())]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, check=True)
    distance = float((torch.tensor(json.loads(done.stdout)) - targets).abs().mean())
    assert distance == pytest.approx(final.mean, rel=1e-5)
