"""Malformed files of what searches, trainings, exports and comparisons left."""

import json
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import strategies as st

from netwright.comparison import courses
from netwright.comparison.courses import Course, SearchCell
from netwright.comparison.tables import cell_file
from netwright.comparison.tables.problems import Problem
from netwright.core import building, files, run_file, sealed, seeds
from netwright.core.errors import NetwrightError
from netwright.core.finals import Final
from netwright.core.objectives import Objective
from netwright.core.records import IO, Proposal, Result
from netwright.core.refs import Reference
from netwright.data import outcome
from netwright.export import architecture, load
from netwright.plans import network
from netwright.report.examples import images
from netwright.runs import finals, reporting, run_folder
from netwright.stores.sqlite import SqliteStore
from netwright.training import checkpoint
from tests import fuzzing, tiny_data
from tests.fuzzing import Target, as_json, changed, changed_tree, deep, kept

CELL = Reference("nats", {"channels": 2, "repeats": 1})
GENOTYPE, TINY = (0, 1, 2, 3, 1, 2), IO(3, 8, 8, 2)


@kept
def cell():
    return building.load_space(CELL)


@kept
def trained():
    """A plan, its network and an optimizer with a state."""
    plan = cell().plan(GENOTYPE, TINY)
    net = network.build(plan, seeds.rng_for(0, seeds.BUILD))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return plan, net, optimizer


@kept
def checkpoint_bytes():
    _, net, optimizer = trained()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        checkpoint.write(path, net, optimizer, {"step": 3})
        return path.read_bytes()


def take_checkpoint(data, folder):
    """A changed checkpoint is none, whatever was changed in it."""
    path = folder / "checkpoint"
    path.write_bytes(data)
    facts = checkpoint.read_facts(path)
    assert facts is None or data == checkpoint_bytes(), "a changed checkpoint is taken for what was written"
    if facts is None:
        raise NetwrightError("it is no checkpoint")


@kept
def exported():
    """architecture.json and the weights of an export."""
    plan, net, _ = trained()
    text = architecture.to_json(CELL, cell(), GENOTYPE, TINY, plan)
    weights = safetensors.torch.save({name: value.contiguous() for name, value in net.state_dict().items()})
    return text, weights


EXPORTS = st.one_of(
    st.tuples(st.deferred(lambda: changed_tree(st.just(json.loads(exported()[0])))).map(as_json), st.none()),
    st.tuples(st.deferred(lambda: changed(st.just(exported()[0].encode()))), st.none()),
    st.tuples(deep('{"plan": [', "]}"), st.none()),
    st.tuples(st.none(), st.deferred(lambda: changed(st.just(exported()[1])))),
)


def take_export(pair, folder):
    text, weights = pair
    text = exported()[0] if text is None else text
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    (folder / architecture.FILE).write_bytes(data)
    (folder / load.WEIGHTS).write_bytes(weights or exported()[1])
    load.load(folder)(torch.zeros(1, 3, 8, 8))


@kept
def stored():
    """The bytes of a table, and what is in it: JSON of its rows by id."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.sqlite"
        store = SqliteStore(str(path))
        for n in range(12):
            store.add(
                Proposal((n, 1, 2), (n,), 3, None, {"rung": 1.0}),
                f"key {n}",
                n,
                Result({"valid_accuracy": n / 16}, ((1, 0.5),)),
            )
        store.add(Proposal((1, 2, 3)), "pending", 1)
        store.beat("w0", "step 3")
        store.remember("run", run_file.to_toml(run_file.RunFile()))
        store.remember("format", "1")
        rows = {trial.id: trial for trial in store.finished()}
        store.close()
        return path.read_bytes(), rows


def take_store(data, folder):
    """Whatever is shown of a changed table is what was written."""
    path = folder / "trials.sqlite"
    path.write_bytes(data)
    store = SqliteStore(str(path))
    try:
        for trial in store.finished():
            assert trial == stored()[1][trial.id], "a row is shown otherwise than it was written"
        store.unfinished()
        store.workers()
        text = store.recall("run")
    finally:
        store.close()
    assert text in (None, run_file.to_toml(run_file.RunFile())), "the run file is shown otherwise than it was written"


@kept
def running():
    """The files of a table that is in use, by name: itself, its log and the number of its rows; and its trials."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(str(Path(folder) / "trials.sqlite"))
        for n in range(12):
            store.add(Proposal((n, 1, 2)), f"key {n}", n, Result({"valid_accuracy": n / 16}))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir() if not path.name.endswith("-shm")}
        store.close()
    return files


@st.composite
def running_files(draw):
    files = dict(running())
    name = draw(st.sampled_from(sorted(files)))
    files[name] = draw(changed(st.just(files[name])))
    return files


def take_running(files, folder):
    """No row of a table is lost without a word, whichever of its files was changed."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    store = SqliteStore(str(folder / "trials.sqlite"), mode="inspect")
    try:
        there = {trial.id for trial in [*store.finished(), *store.unfinished()]}
        assert there == set(range(1, 13)) or store.faults(), "rows are lost without a word"
    finally:
        store.close()


# What is remembered of a run

TOYS = "netwright.testing.toys"
TOY = [f"--space={TOYS}:ToySpace", f"--task={TOYS}:ToyTask", f"--evaluator={TOYS}:ToyEvaluator", "--executor=inline"]
CANDIDATES = [{"label": "BEST", "genotype": [1, 2, 3], "trial_id": 1, "is_reference": False}]
BASELINES = [{"name": "valid_accuracy", "value": 0.5, "words": "the larger class", "verdict": "no better"}]
FACTS = {
    "run": None,
    "format": "3",
    "hours": "0.5",
    "simulated_hours": "0.5",
    "asked": "1.5",
    "command": "netwright search",
    "versions": {"python": "3.11"},
    "caveats": ["a caveat"],
    "measures": [{"name": "valid_accuracy", "sign": 1, "shown": "share"}],
    "baselines": BASELINES,
    "io": "1x8x8:2",
    "data": "digest",
    "candidates": CANDIDATES,
}


@kept
def searched():
    """The table of a finished run, and its facts as they were."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fuzzing.told("search", "--out", str(run), *TOY, "--strategy=random", "--trials=6")
        store = SqliteStore(str(run / "trials.sqlite"))
        facts = {name: store.recall(name) or text for name, text in FACTS.items()}
        store.close()
        return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}, facts


@st.composite
def facts(draw):
    name = draw(st.sampled_from(sorted(FACTS)))
    fact = searched()[1][name]
    tree = fact
    if isinstance(fact, str) and fact[:1] in "[{":
        with suppress(ValueError):
            tree = json.loads(fact)
    how = draw(st.integers(0, 4))
    if how == 0 and isinstance(fact, str):
        text = draw(changed(st.just(fact.encode()))).decode("latin-1")
    elif how == 1:
        text = draw(st.one_of(deep("["), st.text(max_size=20), st.floats().map(str)))
    else:
        text = (
            as_json(draw(changed_tree(st.just(tree))))
            if not isinstance(tree, str)
            else str(draw(st.sampled_from(fuzzing.ODD_VALUES[:40])))
        )
    return name, text.encode(errors="replace").decode()


def take_fact(pair, folder):
    name, text = pair
    place = folder / "run"
    place.mkdir()
    for file, data in searched()[0].items():
        (place / file).write_bytes(data)
    store = SqliteStore(str(place / "trials.sqlite"))
    store.remember(name, text)
    store.close()
    looks = (
        lambda: fuzzing.told("status", str(place)),
        lambda: reporting.reported(place),
        lambda: _trained(place),
        lambda: fuzzing.told("show", str(place)),
    )
    said = [sentence for sentence in map(fuzzing.refusal, looks) if sentence]
    assert all(map(fuzzing.is_sentence, said)), f"no sentence: {said!r}"
    if said:
        raise NetwrightError(said[0])


def _trained(place):
    with closing(SqliteStore(str(place / "trials.sqlite"), mode="read")) as store:
        finals.results(store, run_folder.stored_run(store, place), place)


# What a network made of each example


@st.composite
def outcomes(draw):
    """Outcomes with changed bytes, or with arrays and texts of other kinds and shapes, all sealed."""
    valid = tiny_data.outcome()
    data = outcome.to_bytes(valid)
    if draw(st.booleans()):
        return draw(changed(st.just(data)))
    arrays = {name: np.asarray(value) for name, value in vars(valid).items() if isinstance(value, np.ndarray)}
    texts = {name: json.dumps(value) for name, value in vars(valid).items() if isinstance(value, tuple)}
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(arrays)))
        kind = draw(st.sampled_from((np.int64, np.uint8, np.float32, np.float64, np.bool_)))
        shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
        arrays[name] = np.full(shape, draw(st.sampled_from((0, 1, -1, 9, 200))), np.int64).astype(kind)
    else:
        name = draw(st.sampled_from(sorted(texts)))
        texts[name] = draw(st.one_of(changed_tree(st.just(json.loads(texts[name]))).map(as_json), st.text(max_size=9)))
    texts = {name: text.encode(errors="replace").decode() for name, text in texts.items()}
    return sealed.seal(safetensors.numpy.save(arrays, metadata={**texts, **sealed.UNSEALED}))


def take_outcome(data, folder):
    (folder / outcome.OUTCOME).write_bytes(data)
    found = images.read(folder)
    if found is None:
        raise NetwrightError("it is no outcome that can be shown")
    assert found.count == len(found.outcome.targets)
    final = Final("BEST", 1, CELL, GENOTYPE, "", Objective("test_accuracy"), 1, 0.5, None, 1)
    found.section(final, "", {"confusion": "", "worst": ""})


# Exports that predict

FORM = {
    "channels": 3,
    "height": 8,
    "width": 8,
    "fit": "crop",
    "mean": [0.5, 0.5, 0.5],
    "sd": [0.2, 0.2, 0.2],
    "classes": ["a", "b"],
    "span": None,
}


def preprocessing():
    return st.one_of(
        changed_tree(st.just(FORM)).map(as_json).map(str.encode),
        changed(st.just(json.dumps(FORM).encode())),
        deep("[").map(str.encode),
    )


def take_preprocessing(data, folder):
    (folder / architecture.FILE).write_text(exported()[0])
    (folder / load.WEIGHTS).write_bytes(exported()[1])
    (folder / "preprocessing.json").write_bytes(data)
    (folder / "x.png").write_bytes(tiny_data.png(np.zeros((9, 7, 3), np.uint8)))
    fuzzing.told("predict", str(folder), str(folder / "x.png"))


# Comparisons

COURSE = Course(np.arange(3) / 4, np.arange(3) / 5, np.zeros(3, bool), "trials", np.arange(1, 4))


@kept
def compared():
    """The lines of a comparison, and its list of problems."""
    problem = Problem("t", "t", "", "val", "test", 1, 1, 1.0, 4, "digest")
    with tempfile.TemporaryDirectory() as folder:
        writer = cell_file.Writer(Path(folder))
        for n in range(3):
            writer.add(SearchCell("random", "t", n), COURSE)
        writer.close()
        (Path(folder) / cell_file.CELLS).rename(Path(folder) / "cells")
        cell_file.claim(Path(folder), [problem])
        return (Path(folder) / "cells").read_bytes(), (Path(folder) / cell_file.PROBLEMS).read_bytes(), problem


@st.composite
def comparisons(draw):
    cells, problems, _ = compared()
    how = draw(st.integers(0, 2))
    if how == 0:
        return draw(changed(st.just(cells))), problems
    if how == 1:
        return cells, draw(changed(st.just(problems)))
    line = json.loads(courses.to_line(SearchCell("random", "t", 0), COURSE))
    text = as_json(draw(changed_tree(st.just(line))))
    if not text.startswith("{") or len(text) < 3:
        return text.encode(), problems
    return f'{text[:-1]}, "checksum": {files.checksum(text)}}}\n'.encode(), problems


def take_comparison(pair, folder):
    cells, problems = pair
    (folder / cell_file.CELLS).write_bytes(cells)
    (folder / cell_file.PROBLEMS).write_bytes(problems)
    cell_file.claim(folder, [compared()[2]])
    cell_file.read(folder)


TARGETS = (
    Target("checkpoints", 30, st.deferred(lambda: changed(st.just(checkpoint_bytes()))), take_checkpoint),
    Target("exports", 40, EXPORTS, take_export),
    Target("preprocessing", 20, preprocessing(), take_preprocessing),
    Target("stores", 30, st.deferred(lambda: changed(st.just(stored()[0]))), take_store),
    Target("logs", 20, running_files(), take_running),
    Target("facts", 20, facts(), take_fact),
    Target("outcomes", 20, outcomes(), take_outcome),
    Target("comparisons", 40, comparisons(), take_comparison),
)
