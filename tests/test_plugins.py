"""Every plug-in file is held to the contract of its protocol, before its author has written a test."""

import inspect
from dataclasses import fields, replace

import pytest

from netwright.core import refs
from netwright.core.errors import MissingCapability
from netwright.core.protocols import SearchSpace, has_networks_for
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.testing.executors import check_executor
from netwright.testing.observers import check_observer
from netwright.testing.spaces import check_network, check_space
from netwright.testing.stores import check_store
from netwright.testing.strategies import check_strategy
from netwright.testing.tasks import check_task
from netwright.testing.toys import ToySpace
from tests.verified import IS_VERIFIED

SEEDS = 10 if IS_VERIFIED else 4  # over which a strategy is compared with random search
MORE_SEEDS = {"tournament": 6}  # by strategy, where over fewer it is unlucky
SAMPLES = 5 if IS_VERIFIED else 2  # networks of a space, whose own tests draw more
SMALLER = {} if IS_VERIFIED else {"repeats": 1, "width": 50}  # in which published cells are built
ELSEWHERE = ("served", "slurm", "ray")  # tests/executors/test_served.py, tests/cluster/


def _io(space):
    """What small networks of a space take and give: images and classes, or tokens."""
    images, texts = IO(3, 16, 16, 10), IO(Tokens(9, 4), Tokens(9, 4))
    return images if has_networks_for(space, images) else texts


def _plugins(kind):
    plugins = {name: refs.locate(kind, name) for name in refs.available(kind)}
    once = {id(plugin): name for name, plugin in plugins.items()}  # one that has two names is checked once
    return [pytest.param(plugins[name], id=name) for name in once.values()]


@pytest.mark.parametrize("plugin", _plugins("space"))
def test_space(plugin):
    own = {"network": "tests.contest_toys:net"}
    space = plugin(**{name: value for name, value in own.items() if name in refs.options_of(plugin)})
    check_space(space, _io(space), SAMPLES)


@pytest.mark.parametrize("plugin", _plugins("strategy"))
def test_strategy(plugin):
    small = {"initial": 10, "population": 10, "sample": 3, "seeds": 10, "new": 20, "epochs": 20, "chain_steps": 20}
    taken = {name: value for name, value in small.items() if name in inspect.signature(plugin).parameters}
    if "chain_steps" in taken:
        taken["batch"] = 30  # each batch samples a model, which is what it costs

    def make(space: SearchSpace):
        return plugin(space, **taken)

    try:
        make(ToySpace())
    except MissingCapability as error:  # an extra is not installed
        pytest.skip(str(error))
    check_strategy(make, seeds_tried=max(SEEDS, MORE_SEEDS.get(plugin.__module__.rpartition(".")[2], 0)))


@pytest.mark.parametrize("plugin", [each for each in _plugins("store") if each.id != "remote"])
def test_store(plugin, tmp_path):
    """The remote one needs a server, which `tests/stores/test_remote.py` gives it."""
    numbers = iter(range(100))
    takes_path = "path" in inspect.signature(plugin).parameters
    check_store(lambda: plugin(str(tmp_path / f"{next(numbers)}.sqlite")) if takes_path else plugin())


@pytest.mark.parametrize("plugin", [each for each in _plugins("executor") if each.id not in ELSEWHERE])
def test_executor(plugin, tmp_path):
    """Those whose workers are elsewhere need these, which their own tests give them."""
    taken, store = refs.options_of(plugin), refs.locate("store", "sqlite")

    def make(evaluator):
        given = {"workers": 2, "evaluator": evaluator}
        return plugin(**{name: value for name, value in given.items() if name in taken})

    check_executor(
        make,
        lambda: store(str(tmp_path / "trials.sqlite")),
        tmp_path,
    )


@pytest.mark.parametrize("plugin", _plugins("observer"))
def test_observer(plugin, tmp_path):
    try:
        plugin()
    except MissingCapability as error:  # an extra is not installed
        pytest.skip(str(error))
    check_observer(plugin, tmp_path)


@pytest.mark.parametrize("plugin", _plugins("task"))
def test_task(plugin):
    if "path" in inspect.signature(plugin).parameters:  # or, with a default, fetches them
        pytest.skip("reads files; its test calls check_task")
    check_task(plugin())


@pytest.mark.parametrize("published", _plugins("zoo"))
def test_zoo(published):
    """Counts of whole networks are the matter of `tests/zoo/test_published.py`."""
    published.space.check(published.genotype)
    assert published.source
    own = {field.name for field in fields(published.space)}
    space = replace(published.space, **{name: value for name, value in SMALLER.items() if name in own})
    check_network(space, published.genotype, _io(space), 0)
