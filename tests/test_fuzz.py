"""Malformed run files, references, genotypes, tables, arrays, parquet, images, checkpoints, exports and stores."""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from hypothesis import strategies as st
from PIL import Image

from netwright.core import genes, objectives, refs, run_file, seeds
from netwright.core.protocols import of_seed
from netwright.core.records import IO, Proposal, Result
from netwright.core.refs import FOLDERS, Reference
from netwright.data import decode, parquet
from netwright.export import architecture, load
from netwright.plans import network
from netwright.stores.sqlite import SqliteStore
from netwright.tables.csv import csv
from netwright.tasks.arrays import arrays
from netwright.training import checkpoint
from tests import fuzzing, tiny_data
from tests.fuzzing import Target, as_json, as_toml, changed, changed_tree, deep, kept, play

CELL = Reference("nats", {"channels": 2, "repeats": 1})
GENOTYPE, TINY = (0, 1, 2, 3, 1, 2), IO(3, 8, 8, 2)

# Run files and references

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


def take_run_file(text, folder):
    path = folder / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    run = run_file.from_tables(run_file.merged(run_file.read(path), {}))
    assert run_file.from_toml(run_file.to_toml(run)) == run
    run_file.build(run)


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
    space("nats").count((0,) * 6, given)


# Genotypes

SPACES = ("nats", "hierarchical", "nasnet", "nao", "hnag", "rnag", "residual", "nats_size", "flat")


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


# Tables

ROWS = "cell,width,val,test,seconds\n" + "".join(f"{n:02d},{2**n},0.{n}5,0.{n}4,{n}.5\n" for n in range(8))
CSV = st.one_of(
    changed(st.just(ROWS.encode())),
    changed(st.sampled_from([ROWS.encode(code) for code in ("utf-16", "utf-8-sig", "latin-1")])),
    st.sampled_from([ROWS.replace(",", sign).encode() for sign in ";\t|"]).flatmap(lambda data: changed(st.just(data))),
    st.lists(
        st.lists(
            st.sampled_from(("00", "0", "1e3", "1_000", "nan", "", '"', "é", "-1", "True", str(2**60))),
            min_size=5,
            max_size=5,
        )
    ).map(lambda rows: ("cell,width,val,test,seconds\n" + "".join(",".join(row) + "\n" for row in rows)).encode()),
    st.binary(max_size=100),
)
TABLE = {"genes": ("cell", "width"), "signal": "val", "final": "test", "seconds": "seconds"}


def take_csv(data, folder):
    path = folder / "t.csv"
    path.write_bytes(data)
    take_table(path)


def take_table(path):
    table = csv(str(path), **TABLE)
    found = table.space
    rng = seeds.rng_for(0, seeds.ASK)
    found.check(found.mutate(found.sample(rng), rng))


@kept
def parquet_table():
    columns = {
        "cell": ["00", "0", "01", "1"],
        "width": pa.array([1, 2, 2**60, 2**60 + 1]),
        "val": [0.1, 0.2, 0.3, None],
        "test": [0.1, 0.2, 0.3, 0.4],
        "seconds": [1.0, 2.0, 3.0, 4.0],
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def take_parquet_table(data, folder):
    path = folder / "t.parquet"
    path.write_bytes(data)
    take_table(path)


# Data

IMAGES = np.arange(12 * 8 * 8, dtype=np.uint8).reshape(12, 8, 8)


@kept
def archives():
    found = []
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, images=IMAGES, labels=np.arange(12) % 2)
        found.append(stream.getvalue())
    stream = io.BytesIO()
    np.savez(stream, x_train=IMAGES, y_train=np.arange(12) % 2, x_test=IMAGES[:4], y_test=np.arange(4) % 2)
    return (*found, stream.getvalue())


@st.composite
def archive_bytes(draw):
    """An archive with changed bytes, or with arrays of other kinds, shapes and heads."""
    if draw(st.booleans()):
        return draw(changed(st.sampled_from(archives())))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("images.npy", "labels.npy"):
            kind = draw(st.sampled_from(("|u1", "<i8", "<f4", "|O", "<U3", "|b1", "<M8[s]", "<c8", "bogus")))
            shape = draw(st.lists(st.sampled_from((0, 1, 2, 3, 8, 12, 2**31, 2**40)), max_size=5))
            head = repr({"descr": kind, "fortran_order": draw(st.booleans()), "shape": tuple(shape)}).encode()
            archive.writestr(
                name, b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + draw(st.binary(max_size=96))
            )
    return stream.getvalue()


def take_arrays(data, folder):
    path = folder / "a.npz"
    path.write_bytes(data)
    task = arrays(str(path), cache=str(folder / "cache"))
    list(task.prepare())
    list(task.batches("train", 4, None))


@kept
def image_files():
    rng = np.random.default_rng(0)
    color, gray = rng.integers(0, 256, (9, 7, 3), np.uint8), rng.integers(0, 256, (9, 7), np.uint8)
    found = []
    for picture in (color, gray, np.dstack((color, gray)), gray.astype(np.uint16) * 16):
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM"):
            stream = io.BytesIO()
            try:
                Image.fromarray(picture).save(stream, kind)
            except (OSError, ValueError):  # a kind that has no such pictures
                continue
            found.append(stream.getvalue())
    return found


def take_image(data, folder):
    path = folder / "x.png"
    path.write_bytes(data)
    for channels in (1, 3):
        try:
            decode.decode(path, channels=channels, height=4, width=8, fit="crop")
        except decode.BadImage as error:
            said = str(error)
        else:
            said = "decoded"
        assert fuzzing.is_sentence(said)


@kept
def parquet_images():
    picture = tiny_data.png(np.zeros((8, 8, 3), np.uint8))
    stream = io.BytesIO()
    table = pa.table({"img": [{"bytes": picture, "path": None}] * 6, "label": [0, 1] * 3})
    pq.write_table(table, stream, row_group_size=2)
    return stream.getvalue()


def take_parquet_images(data, folder):
    path = folder / "train.parquet"
    path.write_bytes(data)
    image, label, _ = parquet.read_columns([path], ("img",), ("label",))
    source = parquet.ParquetImages({"train": (path,)}, image, label)
    count = min(len(source.labels), 6)
    list(source.images(np.arange(count)))


# What trainings and exports leave


@kept
def cell():
    return run_file.load_space(CELL)


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


# Stores


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


def take_objective(texts, _folder):
    found = objectives.shown(texts)
    objectives.scorer(texts)(Result({"valid_accuracy": 0.5}))
    assert [str(each) for each in found] == list(texts)


TARGETS = (
    *(Target("run files", 100, RUN_FILES, take_run_file),),
    *(Target("references", 150, st.tuples(st.sampled_from(sorted(FOLDERS)), REFERENCES), take_reference),),
    *(Target("shapes", 60, SMALL_TEXTS, take_io),),
    *(Target("objectives", 40, st.lists(st.text("-valid_accuracy ", max_size=16), max_size=3), take_objective),),
    *(Target("genotypes", 180, genotype_texts(), take_genotype), Target("CSV tables", 100, CSV, take_csv)),
    *(Target("Parquet tables", 60, st.deferred(lambda: changed(st.just(parquet_table()))), take_parquet_table),),
    *(Target("arrays", 60, archive_bytes(), take_arrays),),
    *(Target("images", 80, st.deferred(lambda: changed(st.sampled_from(image_files()))), take_image),),
    *(Target("Parquet images", 40, st.deferred(lambda: changed(st.just(parquet_images()))), take_parquet_images),),
    *(Target("checkpoints", 40, st.deferred(lambda: changed(st.just(checkpoint_bytes()))), take_checkpoint),),
    *(Target("exports", 50, EXPORTS, take_export),),
    *(Target("stores", 40, st.deferred(lambda: changed(st.just(stored()[0]))), take_store),),
)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_malformed_input_is_taken_or_refused_in_a_sentence(target, tmp_path, record_property):
    tally = play(target, tmp_path, fuzzing.INPUTS)
    record_property(
        "fuzzed",
        f"{target.name}: {tally.inputs:,} inputs, {tally.refused:,} refused, slowest {tally.slowest:.2f} s of CPU",
    )
