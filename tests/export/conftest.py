"""A small digits network, its weights drawn, not trained, and its export, made once."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from netwright.core import refs, seeds
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.export import programs
from netwright.export.write import TrainedModel, write
from netwright.plans import network
from netwright.training import loop

RUN = RunFile(
    space=Reference("hierarchical", {"motifs": [2, 1], "nodes": [3, 3], "channels": 4}),
    evaluator=Reference("training", {"epochs": 1, "split": "test"}),
)


@dataclass(frozen=True)
class Exported:
    folder: Path
    model: TrainedModel
    network: nn.Module
    said: list[str]


def trained(folder, run=RUN, layout=torch.channels_last):
    """A model with drawn weights, and what was measured of it."""
    space, task = refs.load("space", run.space), refs.load("task", run.task)
    genotype = space.sample(seeds.rng_for(3, seeds.ASK))
    net = network.build(space.plan(genotype, task.io), seeds.rng_for(4, seeds.BUILD)).to(memory_format=layout)
    for inputs, _ in task.batches("train", 500, None):  # statistics, so that not all images look alike
        net.train()(inputs)
    metrics = {f"test_{name}": value for name, value in loop.measure(net, task, "test", layout).items()}
    path = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    command = "netwright train runs/digits --trial 21"
    return TrainedModel("best of the search, trial 21", run, genotype, path, metrics, 7, command), net


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    base = tmp_path_factory.mktemp("exported")
    model, net = trained(base)
    said = []
    return Exported(write(base / "out", model, say=said.append), model, net, said)


@pytest.fixture
def traced(exported, monkeypatch):
    """The program of the network, which takes a second to trace, is that of its export."""
    data = (exported.folder / programs.FILE).read_bytes()
    monkeypatch.setattr(programs, "program", lambda *_: None)
    monkeypatch.setattr(programs, "to_bytes", lambda *_: data)


@pytest.fixture
def with_accuracy(exported):
    """The model with another recorded accuracy."""
    return lambda value: replace(exported.model, metrics={"test_accuracy": value})
