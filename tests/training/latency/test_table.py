import json
from dataclasses import replace

import numpy as np
import pytest

from netwright.core.errors import BadReference, StoreError
from netwright.core.latency import LatencySettings
from netwright.core.records import IO
from netwright.spaces.hnag import HnagSpace
from netwright.stores.memory import MemoryStore
from netwright.testing.toys import ToySpace
from netwright.training.latency import table as module
from netwright.training.latency.operations import occurring
from netwright.training.latency.table import FACT, Fitted, LatencyTable, Machine, fit
from tests.training.latency.test_whole import GENES, SHAPE, SPACE, Ticking


def stopped():
    raise AssertionError("nothing is to be measured")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 3)
    monkeypatch.setattr(module, "AHEAD", 4)


@pytest.fixture(scope="module")
def text():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 3)
        patch.setattr(module, "AHEAD", 4)
        table = LatencyTable(SPACE, SHAPE, clock=Ticking())
        table.remark()
        return table.text


def changed(text, **facts):
    return json.dumps({**json.loads(text), **facts})


def test_a_fit_finds_a_factor_and_a_constant_and_its_error():
    rng = np.random.default_rng(0)
    layers = [int(each) for each in rng.integers(10, 200, 50)]
    sums = [float(0.05 * each * rng.uniform(0.2, 3)) for each in layers]
    exact = [1.3 * total + 0.01 * each for total, each in zip(sums, layers, strict=True)]
    found = fit(sums, layers, exact)
    assert (found.factor, found.per_layer) == pytest.approx((1.3, 0.01), rel=0.01)
    assert found.networks == 50 and found.error < 0.01
    assert found.milliseconds(2.0, 10) == pytest.approx(2.7, rel=0.01)
    noisy = [each * (1.2 if n % 2 else 0.8) for n, each in enumerate(exact)]
    assert 0.1 < fit(sums, layers, noisy).error < 0.3


def test_few_networks_are_fitted_all_the_same():
    assert fit([], [], []) == Fitted()
    found = fit([2.0], [10], [3.0])
    assert found.error is None and found.milliseconds(2.0, 10) == pytest.approx(3.0, rel=0.1)
    assert fit([1.0, 2.0], [5, 9], [0.5, 1.0]).per_layer >= 0


def test_what_is_known_is_not_measured_again(text):
    table = LatencyTable(SPACE, SHAPE, clock=Ticking())
    first = table.latency_ms(SPACE, GENES)
    table.clock = stopped
    assert table.latency_ms(SPACE, GENES) == first > 0
    assert LatencyTable(SPACE, SHAPE, stored=table.text, clock=stopped).latency_ms(SPACE, GENES) == first
    assert table.text == LatencyTable(SPACE, SHAPE, stored=table.text, clock=stopped).text
    assert "of batch 1 on cpu with 1 thread" in table.remark() and "over 3 whole networks" in table.remark()


def test_an_estimate_is_the_fit_of_the_sum_over_the_layers(text):
    facts = json.loads(text)
    names = [each.text for each in occurring(SPACE.plan(GENES, SHAPE))]
    facts["operations"] = dict.fromkeys(names, 0.5)
    facts["fitted"] = {"factor": 2.0, "per_layer": 0.25, "error": None, "networks": 0}
    table = LatencyTable(SPACE, SHAPE, stored=json.dumps(facts), clock=stopped)
    assert table.latency_ms(SPACE, GENES) == pytest.approx(1.25 * len(names))


def test_an_operation_that_is_missing_is_measured_and_kept_before_the_estimate_is_given(text):
    facts = json.loads(text)
    name = next(each.text for each in occurring(SPACE.plan(GENES, SHAPE)))
    del facts["operations"][name]
    store = MemoryStore()
    table = LatencyTable(SPACE, SHAPE, stored=json.dumps(facts), clock=Ticking())
    table.keep_in(store)
    assert name not in json.loads(store.recall(FACT))["operations"]
    table.latency_ms(SPACE, GENES)
    assert json.loads(store.recall(FACT))["operations"][name] == pytest.approx(1000.0)


def test_a_table_of_another_machine_answers_and_measures_nothing(text):
    machine = Machine("Abacus", LatencySettings())
    facts = {**json.loads(text), "digest": machine.digest, "machine": {"processor": "Abacus", "settings": {}}}
    known = LatencyTable(SPACE, SHAPE, stored=json.dumps(facts), clock=stopped)
    sampled = SPACE.sample(np.random.default_rng(0))
    assert known.latency_ms(SPACE, sampled) > 0
    with pytest.raises(BadReference, match=r"were measured on Abacus, and this machine has .*; go on there, or begin"):
        LatencyTable(SPACE, SHAPE, stored=changed(json.dumps(facts), operations={})).latency_ms(SPACE, GENES)
    assert machine.digest != Machine.here(LatencySettings()).digest
    assert machine.digest != replace(machine, settings=LatencySettings(batch=2)).digest


def test_a_table_of_other_settings_is_not_used(text):
    table = LatencyTable(SPACE, SHAPE, LatencySettings(batch=2), stored=text, clock=Ticking())
    assert json.loads(table.text)["operations"] == {}


@pytest.mark.parametrize(
    "fault", [{"digest": "0"}, {"operations": {"x": -1.0}}, {"operations": {"x": "fast"}}, {"machine": 3}]
)
def test_a_damaged_table_is_refused(text, fault):
    for damaged in (changed(text, **fault), text[:-5]):
        with pytest.raises(StoreError, match=r"its fact 'latency' is .*; restore a copy"):
            LatencyTable(SPACE, SHAPE, stored=damaged)


def test_refuses_what_cannot_be_estimated():
    with pytest.raises(BadReference, match=r"latency.device is 'cuda:77', .*"):
        LatencyTable(SPACE, SHAPE, LatencySettings("cuda:77"))
    with pytest.raises(BadReference, match="the space writes none; search another space"):
        LatencyTable(ToySpace(), SHAPE)


def test_the_network_that_a_seed_of_a_generator_draws_is_estimated():
    space = HnagSpace(limit=40_000)
    table = LatencyTable(space, IO(3, 8, 8, 10), clock=Ticking())
    genotype = space.sample(np.random.default_rng(3))
    found = {table.latency_ms(space.seeded(seed), genotype) for seed in range(4)}
    assert len(found) > 1


def test_the_error_is_that_of_other_networks():
    table = LatencyTable(SPACE, SHAPE, clock=Ticking())
    errors = table.error_over(3, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    operations = [len(list(occurring(SPACE.plan(SPACE.sample(rng), SHAPE)))) for _ in range(3)]
    factor, constant = table._fitted.factor, table._fitted.per_layer
    assert errors == pytest.approx([(factor * 1000 * n + constant * n) / 1000 - 1 for n in operations])
