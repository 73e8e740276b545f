"""Official releases, tiny ones made here in their schema, become tables; nothing is unpickled without --trust."""

import bz2
import math
import pickle
from pathlib import Path

import pytest
import torch

from netwright.evaluators.lookup import Lookup
from netwright.tables.nats_sss import nats_sss
from netwright.tables.nats_tss import nats_tss
from tests.cli.test_bad_input import run

CELLS = (
    "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
    "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
)
TRAININGS = {  # data set -> evaluation sets, as in the official API
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
}


def result(epochs, seed, level, images, *, with_times=True):
    """One training, as `ResultsCount.state_dict` has it; accuracy grows by epoch, and by 1 from set to set."""
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": {epoch: level + epoch for epoch in range(epochs)},
        "train_acc5es": None,
        "train_losses": dict.fromkeys(range(epochs), 1.0),
        "train_times": dict.fromkeys(range(epochs), 2.0) if with_times else None,
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": 0.073306,
        "flop": 7.78,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01],
        "eval_names": list(images),
        "eval_acc1es": {f"{s}@{e}": level + e + n for n, s in enumerate(images, 1) for e in range(epochs)},
        "eval_times": {f"{s}@{e}": 0.5 for s in images for e in range(epochs)} if with_times else {},
        "eval_losses": {},
    }


def recipes(index, names, seeds, **options):
    """Of one architecture: recipe -> `ArchResults.state_dict`."""
    found = {}
    for name, epochs in names.items():
        results = {
            (data, seed): result(epochs, seed, 10 * index + seed % 7, images, **options)
            for data, images in TRAININGS.items()
            for seed in seeds
        }
        found[name] = {
            "arch_index": index,
            "arch_str": CELLS[index],
            "all_results": results,
            "dataset_seed": {data: list(seeds) for data in TRAININGS},
            "clear_net_done": True,
        }
    return found


def bz2_pickle(path: Path, data):
    with bz2.open(path, "wb") as file:
        pickle.dump(data, file)
    return path


def whole(infos, texts=CELLS):
    return {
        "meta_archs": list(texts),
        "arch2infos": dict(enumerate(infos)),
        "evaluated_indexes": list(range(len(texts))),
    }


@pytest.fixture
def convert(capfd, tmp_path):
    def call(kind, path, *words):
        out = tmp_path / "table.parquet"
        return run(capfd, "import", kind, path, "--out", out, *words), out

    return call


def test_a_file_of_nats_bench(convert, tmp_path):
    """By hand: seeds 777 and 888 are 0 and 6 modulo 7; epoch 12 adds 11, the validation set 1."""
    infos = [recipes(index, {"12": 12, "200": 200}, (777, 888)) for index in range(2)]
    (code, said, err), out = convert("nats", bz2_pickle(tmp_path / "NATS-tss.pickle.pbz2", whole(infos)), "--trust")
    assert (code, err) == (0, "")
    assert "unpickling" in said
    assert "in a process of its own" in said
    table = nats_tss(str(out))
    assert list(table.rows) == [table.space.parse(text) for text in CELLS]
    first, second = table.rows
    assert table.columns["cifar10_val_acc_12ep"].tolist() == [15.0, 25.0]
    assert table.columns["cifar10_val_acc_12ep_seed888"].tolist() == [18.0, 28.0]
    assert table.columns["cifar10_train_acc_12ep"].tolist() == [14.0, 24.0]
    assert table.columns["params"].tolist() == [73_306.0, 73_306.0]
    assert table.lookup(first, seed=0) == {"signal": 12.0, "final": 203.0, "seconds": 24.5}
    assert table.lookup(second, 200, 1) == {"signal": 216.0, "final": 213.0, "seconds": 400.5}
    assert list(table.budgets) == [12, 200]
    Lookup(table)
    assert nats_tss(str(out), "cifar100").lookup(first)["final"] == 204.0, "x-test, the second set"


def test_a_folder_of_nats_bench(unpickled_here, convert, tmp_path):
    folder = tmp_path / "NATS-tss-simple"
    folder.mkdir()
    bz2_pickle(folder / "meta.pickle.pbz2", {"meta_archs": list(CELLS), "total_archs": 2})
    for index in (1, 0):
        bz2_pickle(folder / f"{index:06d}.pickle.pbz2", recipes(index, {"12": 12, "200": 200}, (777,)))
    (code, _, _), out = convert("nats", folder, "--trust")
    assert code == 0
    table = nats_tss(str(out))
    assert [table.lookup(genotype)["signal"] for genotype in table.rows] == [12.0, 22.0]


def test_the_size_space(unpickled_here, convert, tmp_path):
    infos = [recipes(index, {"01": 1, "12": 12, "90": 90}, (777,)) for index in range(2)]
    data = whole(infos, ("8:8:8:8:8", "64:8:8:8:16"))
    (code, _, _), out = convert("nats", bz2_pickle(tmp_path / "NATS-sss.pickle.pbz2", data), "--trust")
    assert code == 0
    table = nats_sss(str(out))
    assert list(table.budgets) == [1, 12, 90]
    assert table.lookup((7, 0, 0, 0, 1)) == {"signal": 22.0, "final": 100.0, "seconds": 24.5}
    assert table.lookup((7, 0, 0, 0, 1), 1)["signal"] == 11.0


@pytest.mark.parametrize("is_folder", [False, True])
def test_nas_bench_201(unpickled_here, convert, tmp_path, is_folder):
    """Recipes are called less and full; some trainings have no times."""
    infos = [recipes(index, {"less": 12, "full": 200}, (777,), with_times=index > 0) for index in range(2)]
    path = tmp_path / "NAS-Bench-201"
    if is_folder:
        path.mkdir()
        for index, info in enumerate(infos):
            torch.save(info, path / f"{index:06d}-FULL.pth")
    else:
        torch.save(whole(infos), path)
    (code, _, err), out = convert("nasbench201", path, "--trust")
    assert (code, err) == (0, "")
    table = nats_tss(str(out))
    first, second = table.rows
    assert table.lookup(second) == {"signal": 22.0, "final": 210.0, "seconds": 24.5}
    assert table.lookup(first)["signal"] == 12.0
    assert math.isnan(table.lookup(first)["seconds"])


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("kind", ["nats", "nasbench201"])
def test_nothing_is_opened_without_trust(unpickled_here, convert, tmp_path, kind):
    mark = tmp_path / "opened"
    path = tmp_path / "release"
    if kind == "nats":
        bz2_pickle(path, Malicious(mark))
    else:
        torch.save(Malicious(mark), path)
    (code, said, err), out = convert(kind, path)
    assert (code, said) == (2, "")
    assert err.startswith(f"netwright: {path} would be unpickled, which runs whatever code it holds")
    assert "--trust" in err
    assert err.count("\n") == 1
    assert not mark.exists()
    assert not out.exists()
    convert(kind, path, "--trust")
    assert mark.exists(), "it is opened with --trust, so the test can fail"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"meta_archs": []}, "is not in the schema of nats: KeyError: 'arch2infos'"),
        ([1, 2], "is not in the schema of nats: TypeError"),
        (whole([], ()), "holds no architecture of nats"),
        (None, "cannot be unpickled"),
    ],
)
def test_other_files_are_refused_in_one_sentence(convert, tmp_path, data, says, request):
    if data is not None:
        request.getfixturevalue("unpickled_here")
    path = tmp_path / "release.pickle.pbz2"
    if data is None:
        path.write_bytes(b"no archive at all")
    else:
        bz2_pickle(path, data)
    (code, _, err), out = convert("nats", path, "--trust")
    assert code == 2
    assert err.startswith("netwright: nothing was imported: ")
    assert says in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_wrong_words_are_named(convert, tmp_path):
    path = bz2_pickle(tmp_path / "release.pickle.pbz2", whole([], ()))
    (code, _, err), out = convert("nasbench101", path, "--trust")
    assert (code, err) == (2, "netwright: there is no release 'nasbench101' to import; there are nats, nasbench201\n")
    (code, _, err), _ = convert("nats", tmp_path / "none", "--trust")
    assert code == 2
    assert "there is no file or folder" in err
    out.touch()
    (code, _, err), _ = convert("nats", path, "--trust")
    assert code == 2
    assert "is there already; give another file with --out" in err
