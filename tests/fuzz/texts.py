"""Malformed run files, references, shapes, objectives, settings, recipes and genotypes."""

import json

from hypothesis import strategies as st

from netwright.comparison.contests import recipes
from netwright.core import building, genes, objectives, refs, run_file, seeds, settings
from netwright.core.protocols import check_accepts, of_seed
from netwright.core.records import IO, Result
from netwright.core.refs import FOLDERS, Reference
from tests.fuzzing import Target, as_json, as_toml, changed, changed_tree, deep, kept

RUN = {
    "space": {"ref": "nats", "channels": 2},
    "strategy": "aging(population=10, sample=3)",
    "task": {"ref": "digits", "flip": False},
    "evaluator": {"ref": "training", "steps": 2, "lr": 0.1},
    "executor": "inline",
    "seed": 3,
    "objectives": ["valid_accuracy"],
    "constraints": ["params <= 1e6"],
    "reuse": True,
    "threads_per_trial": 1,
    "keep": "none",
    "limits": {"trials": 4, "hours": 1.5, "failures_in_a_row": 5},
    "final": {"epochs": 2},
}
RUN_FILES = st.one_of(
    changed_tree(st.just(RUN)).map(as_toml),
    changed(st.just(as_toml(RUN).encode())),
    deep("[", text="a = "),
    deep("{b=", text="a = "),
    st.text(max_size=40),
    st.binary(max_size=40),
)


def take_run_file(given, folder):
    path = folder / "run.toml"
    path.write_bytes(given if isinstance(given, bytes) else given.encode(errors="surrogatepass"))
    run = run_file.from_tables(run_file.merged(run_file.read(path), {}))
    text = run_file.to_toml(run)
    assert run_file.to_toml(run_file.from_toml(text)) == text  # not of the values, since NaN is unlike itself
    building.build(run)


WORDS = st.sampled_from(
    (
        *("aging", "nats", "training", "digits", "inline", "csv", "sqlite", "memory", "image_folder", "arrays"),
        *("hnag", "nowhere"),
        *("builtins:int", "builtins:type", "os:system", "os.path:join", "math:pi", "netwright.core.refs:load"),
        *("netwright:Run",),
        *("netwright.testing.toys:ToySpace", "netwright.testing.toys:ToyEvaluator", "tests.faulty:Refusing", "a:b"),
        *(":", "a.b:", "__main__:x"),
    )
)
OPTION_TEXTS = st.one_of(
    st.sampled_from(
        (
            *("1", "-1", "0.5", "'x'", "None", "[1, 2]", "{'a': 1}", "9" * 5000, "1e999", "(1,) * 9", "x", "''"),
            *("[[[[]]]]", "2**9"),
        )
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=10).map(repr),
)
NAMES = st.sampled_from(
    (
        *("channels", "population", "steps", "path", "workers", "lr", "cells", "space", "with", "é", "_", "x y"),
        *("ref", "genes"),
    )
)
REFERENCES = st.one_of(
    st.tuples(WORDS, st.lists(st.tuples(NAMES, OPTION_TEXTS), max_size=3)).map(
        lambda pair: f"{pair[0]}({', '.join(f'{name}={value}' for name, value in pair[1])})"
    ),
    WORDS,
    deep("f(", ")"),
    deep("(", ")", "aging"),
    st.text(max_size=30),
)


def take_reference(pair, folder):
    kind, text = pair
    reference = refs.parse(text)
    assert refs.parse(str(reference)).name == reference.name or reference.options == {}
    given = {"space": {}, "task": {}, "zoo": {}}.get(
        kind, {"space": space("nats"), "task": digits(), "objectives": ("valid_accuracy",)}
    )
    if kind in ("store", "table"):  # these write, or read any file
        reference = Reference(reference.name, {**reference.options, "path": str(folder / "t")})
    refs.load(kind, reference, **given)


@kept
def digits():
    return refs.load("task", Reference("digits"))


SMALL_TEXTS = st.one_of(
    changed(
        st.sampled_from((b"3x32x32:10", b"vector=16:numbers=1", b"sequence=8x100:10", b"tokens=10x35:tokens=10x35"))
    ).map(lambda data: data.decode("latin-1")),
    st.text("0123456789x:=,-+.e vectorsnumb", max_size=30),
    st.sampled_from(("9" * 5000 + "x1x1:1", "1x1x1:" + "9" * 5000, "1" + "x1" * 100_000)),
)


def take_io(text, _folder):
    given = run_file.read_io(text)
    assert run_file.read_io(run_file.write_io(given)) == given
    check_accepts(space("nats"), given)
    space("nats").count((0,) * 6, given)


def take_objective(texts, _folder):
    found = objectives.shown(texts)
    objectives.scorer(texts)(Result({"valid_accuracy": 0.5}))
    assert [str(each) for each in found] == list(texts)


SPACES = ("nats", "hierarchical", "nasnet", "nao", "hnag", "rnag", "residual", "nats_size", "flat", "macro")


@kept
def space(name):
    return refs.load("space", Reference(name))


@kept
def genotypes(name):
    return [space(name).sample(seeds.rng_for(n, seeds.ASK)) for n in range(3)]


@st.composite
def genotype_texts(draw):
    name = draw(st.sampled_from(SPACES))
    original = genes.to_json(draw(st.sampled_from(genotypes(name))))
    how = draw(st.integers(0, 5))
    if how == 0:
        return name, draw(changed(st.just(original.encode()))).decode("latin-1")
    if how == 1:
        return name, draw(st.one_of(deep("["), st.text(max_size=20), st.lists(st.integers()).map(str)))
    return name, as_json(draw(changed_tree(st.just(json.loads(original)))))


def take_genotype(pair, _folder):
    name, text = pair
    genotype = genes.from_json(text)
    found = space(name)
    found.check(genotype)
    assert genes.from_json(genes.to_json(genotype)) == genotype
    assert found.key(genotype) == found.key(genes.from_json(genes.to_json(genotype)))
    found = of_seed(found, 1)
    found.graph(genotype)
    found.count(genotype, IO(3, 32, 32, 10))


# Settings of training among the genes, and recipes

SETTINGS = [
    {"name": "lr", "low": 0.01, "high": 1.0, "default": 0.1, "log": True},
    {"name": "weight_decay", "low": 1e-5},
    {"name": "batch", "options": [32, 64], "default": 64},
    "lr",
]
WITH = st.one_of(
    changed_tree(st.just(SETTINGS)),
    changed_tree(st.lists(st.sampled_from(SETTINGS), min_size=1, max_size=2)),
    st.lists(st.sampled_from(("lr", "weight_decay", "augment", "steps", "é", "", " ")), max_size=3).map(",".join),
    st.text(max_size=20),
)


def take_settings(given, _folder):
    run = run_file.from_tables({"space": {"ref": "nats", "channels": 2, "with": given}})
    found = building.load_space(building.tuned(run).space)
    genotype = found.sample(seeds.rng_for(0, seeds.ASK))
    found.check(genotype)
    found.key(genotype)
    settings.values(found, genotype)


def take_recipe(text, folder):
    path = folder / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    found = recipes.read([path], {}, None)
    recipes.standard_strategies(found)


TARGETS = (
    Target("run files", 80, RUN_FILES, take_run_file),
    Target("references", 100, st.tuples(st.sampled_from(sorted(FOLDERS)), REFERENCES), take_reference),
    Target("shapes", 40, SMALL_TEXTS, take_io),
    Target("objectives", 30, st.lists(st.text("-valid_accuracy! ", max_size=16), max_size=3), take_objective),
    Target("genotypes", 130, genotype_texts(), take_genotype),
    Target("settings", 40, WITH, take_settings),
    Target("recipes", 30, RUN_FILES, take_recipe),
)
