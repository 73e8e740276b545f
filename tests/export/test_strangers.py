"""Folders of strangers: whatever their files hold, they are read or refused in a sentence, and nothing else happens."""

import copy
import json
import random
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.core import memory
from netwright.core.errors import ExportError
from netwright.core.records import IO
from netwright.core.shapes import Image, Vector
from netwright.export import architecture, load
from netwright.export.media.predict import predict
from netwright.plans import counting
from netwright.plans.network import build
from netwright.plans.plan import PlanWriter

FILES = ("architecture.json", "preprocessing.json", "weights.safetensors")
DEEP: list = []
for _ in range(200):
    DEEP = [DEEP]
ODD = (
    *(None, True, False, -1, 0, 1, 2, 2**20, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "conv", "\ud800", "a\nb", "x" * 5000, "__class__", "os:system", [], {}, [[]], {"": 0}, DEEP),
    *(["image", 2**20, 2**20, 2**20], ["vector", 1], [0] * 5000, "gone", "twice"),
)


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    place = tmp_path_factory.mktemp("stranger")
    for name in FILES:
        shutil.copy(exported.folder / name, place / name)
    return place


def _asked(folder):
    """Everything that reads the folder. Any error but ExportError, in one line, is the test's failure."""
    architecture.is_export(folder)
    for read in (load.load, lambda where: list(predict(where, []))):
        said = ""
        try:
            read(folder)
        except ExportError as error:
            said = str(error)
        assert "\n" not in said and len(said) < 1000 and said.encode() is not None


def _change(facts, rng):
    """Replace a value somewhere within, take it out, or put it there twice."""
    place, key = None, None
    while isinstance(facts, dict | list) and facts and (place is None or rng.random() < 0.8):
        place = facts
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        facts = place[key]
    odd = rng.choice(ODD)
    if place is None:
        return
    if odd == "gone":
        del place[key]
    elif odd == "twice" and isinstance(place, list):
        place.insert(key, place[key])
    else:
        place[key] = copy.deepcopy(odd)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES[:2]), st.integers(0, 2**32), st.integers(1, 3))
def test_whatever_json_they_hold(folder, name, seed, changes):
    path, rng = folder / name, random.Random(seed)
    whole = path.read_bytes()
    facts = json.loads(whole)
    for _ in range(changes):
        _change(facts, rng)
    path.write_text(json.dumps(facts))
    try:
        _asked(folder)
    finally:
        path.write_bytes(whole)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_bytes_they_hold(folder, data):
    path = folder / data.draw(st.sampled_from(FILES))
    whole = path.read_bytes()
    found = bytearray(whole)
    end = 400 if path.suffix == ".safetensors" else len(whole)  # the header
    for _ in range(data.draw(st.integers(1, 3))):
        found[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(found[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else found)
    try:
        _asked(folder)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "text", ['{"format": ' + "9" * 5000 + "}", '{"a":' * 50_000, '{"plan": "' + "\\ud800" * 99 + '"}']
)
def test_endless_numbers_and_depth(folder, tmp_path, text):
    for name in FILES:
        shutil.copy(folder / name, tmp_path / name)
    for name in FILES[:2]:
        whole = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        _asked(tmp_path)
        (tmp_path / name).write_text(whole)


def test_weights_are_compared_with_the_plan_before_they_take_memory(folder, tmp_path, monkeypatch):
    for name in FILES:
        shutil.copy(folder / name, tmp_path / name)
    monkeypatch.setattr(memory, "most", lambda: 1000)
    with pytest.raises(
        ExportError, match=r"weights\.safetensors take .*, and this process may have 0\.1 MB; use a mach"
    ):
        load.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes((2**40).to_bytes(8, "little") + bytes(100))
    with pytest.raises(ExportError, match="are damaged: its header would have 1,099,511,627,776 bytes"):
        load.load(tmp_path)


def test_many_layers_get_their_weights_one_by_one(tmp_path, monkeypatch):
    """`load_state_dict` looks through all weights for each module: 19,000 layers took 40 seconds."""
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: pytest.fail("takes the square of layers"))
    writer = PlanWriter(IO(Vector(3), Vector(3)))
    x = 0
    for n in range(40):
        with writer.scope(f"cell{n % 7}_{n}", "a"):
            x = writer.linear(x, 3)
    writer.linear(x, 2)
    plan = writer.plan()
    network = build(plan, np.random.default_rng(0)).eval()
    safetensors.torch.save_file(network.state_dict(), tmp_path / "w.safetensors")
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    found = load.with_weights(plan, tmp_path / "w.safetensors")
    with torch.inference_mode():
        assert torch.equal(found(inputs), network(inputs))


def test_bytes_of_a_pass_are_those_of_what_is_held_at_once():
    writer = PlanWriter(IO(3, 4, 4, 2))
    one = writer.conv(0, 5)
    two = writer.conv(one, 6)
    writer.mean(writer.concat([one, two]))
    sizes = [4 * 16 * channels for channels in (3, 5, 6, 11)]
    assert writer.shape(one) == Image(5, 4, 4)
    assert counting.inference_bytes(writer.plan()) == 2 * (sizes[1] + sizes[2] + sizes[3])
