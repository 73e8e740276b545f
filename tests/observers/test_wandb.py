import json
import struct
import time

import pytest

from netwright.observers.wandb import Wandb
from netwright.testing.observers import TRIALS, check_observer, observed

pytest.importorskip("wandb")


BLOCK, HEADER = 32768, 7  # bytes of the log format of LevelDB, which the files have


def _data(path):
    """The records of a file: checksum, length and kind (whole, first, middle, last), then the bytes."""
    data, at, found = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + HEADER])
        found += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            yield found
            found = b""


def _whole(path, proto):
    """The records of a file, once the last has come: the library's own process writes them when it finds time."""
    until = time.monotonic() + 60
    while True:
        records = [proto.Record.FromString(data) for data in _data(path)]
        if any(record.HasField("exit") for record in records):
            return records
        assert time.monotonic() < until, f"{path} was never ended"
        time.sleep(0.02)


def _records(folder):
    """What stands in the offline files, oldest first: configuration, lines of the history, names of runs."""
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    config, lines, ids = {}, [], []
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        ids.append(path.stem)
        for record in _whole(path, proto):
            for item in record.run.config.update:
                config[item.key] = json.loads(item.value_json)
            if record.HasField("history"):
                items = record.history.item
                lines.append({i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items})
    return config, lines, ids


def test_the_search_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    check_observer(Wandb, tmp_path)
    config, lines, ids = _records(tmp_path)
    assert config["space.length"] == 2
    assert len(set(ids)) == 1, "a search that goes on is the same run"
    trials = [line for line in lines if "status" in line]
    assert [(line["trial"], line["status"]) for line in trials] == [(1, "done"), (2, "failed"), (4, "done")]
    assert [line["best valid_accuracy"] for line in trials] == [0.5, 0.5, 0.75]
    assert trials[0]["gene/gene 1"] == "option 3"
    assert [line["trial/1/train_loss"] for line in lines if "trial/1/train_loss" in line] == [0.5]


def test_who_watches_later_sees_what_came_before(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    observer = Wandb()
    observer.on_begin(observed(tmp_path, TRIALS[:3]))
    observer.on_end({})
    _, lines, _ = _records(tmp_path)
    assert [line["trial"] for line in lines if "status" in line] == [1, 2, 3]
