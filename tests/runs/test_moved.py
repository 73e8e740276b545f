"""A run whose data lies elsewhere goes on where the data is the same, and is refused where it is not."""

import shutil
from contextlib import closing

import numpy as np
import pytest

import netwright
from netwright.core import building, refs, run_file, whereabouts
from netwright.core.errors import BadReference, BadRunFile, StoreError
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.report import page
from netwright.runs import ownership, run_folder
from netwright.testing.toys import ToyTask
from tests import tiny_data

SMALL = {"space": "nats(channels=2, repeats=1)", "strategy": "random", "executor": "inline"}


@pytest.fixture(autouse=True)
def _no_report(monkeypatch):
    monkeypatch.setattr(page, "write", lambda folder, *_: folder / "report.html")


class Placed(ToyTask):
    whereabouts = ("path",)


def arrays(path, images=60, seed=0):
    rng = np.random.default_rng(seed)
    np.savez(path, images=rng.integers(0, 256, (images, 8, 8, 3), np.uint8), labels=np.arange(images) % 2)
    return path


def made(kind, folder):
    """Data of a kind, and the options of its task."""
    if kind == "arrays":
        return arrays(folder.with_suffix(".npz")), "arrays"
    return tiny_data.photos(folder, images=15), "image_folder(size=8)"


@pytest.mark.parametrize("kind", ["arrays", "image_folder"])
def test_it_goes_on_where_the_same_data_lies_now(tmp_path, kind):
    data, task = made(kind, tmp_path / "one")
    first = netwright.Run(
        tmp_path / "run",
        task=task,
        trials=1,
        changes={"task": {"path": str(data), "cache": str(tmp_path / "c")}, "evaluator": {"steps": 1, "batch": 8}},
        **SMALL,
    )
    first.search()
    [trained] = first.train(epochs=1, reference=False)
    moved = tmp_path / f"two{data.suffix}"
    shutil.move(data, moved)
    with pytest.raises(BadReference, match=r"one.*give its new place with --task\.path"):
        netwright.Run(tmp_path / "run", trials=2).search()
    changes = {"task": {"path": str(moved), "cache": str(tmp_path / "elsewhere"), "memory_share": 0.1}}
    again = netwright.Run(tmp_path / "run", trials=2, changes=changes)
    assert len(again.search().trials) == 2
    assert run_folder.settings_in(tmp_path / "run").task.options["path"] == str(moved), "it is remembered"
    [same] = again.train(trial=trained.trial_id, epochs=1, reference=False)
    assert (same.folder, same.mean) == (trained.folder, trained.mean), "what was trained is not trained again"
    assert netwright.Run(tmp_path / "run", trials=2).search().trials == again.search().trials
    with pytest.raises(BadRunFile, match=r"its task\.split_seed is"):
        netwright.Run(tmp_path / "run", trials=3, changes={"task": {"split_seed": 5}}).search()


@pytest.mark.parametrize("trials", [1, 2], ids=["complete", "to go on"])
def test_other_data_in_another_place_is_refused_and_nothing_is_noted(tmp_path, trials):
    data, other = arrays(tmp_path / "one.npz"), arrays(tmp_path / "two.npz", seed=1)
    settings = {"cache": str(tmp_path / "cache")}
    place, steps = tmp_path / "run", {"steps": 1, "batch": 8}
    first = netwright.Run(
        place, task="arrays", trials=1, changes={"task": {"path": str(data), **settings}, "evaluator": steps}, **SMALL
    )
    first.search()
    with closing(run_folder.open_table(place, "read")) as store:
        known = store.recall("data")
    with pytest.raises(StoreError, match=rf"have changed since this run began .*{known} and is [-0-9a-f]+\)"):
        netwright.Run(place, trials=trials, changes={"task": {"path": str(other)}}).search()
    assert run_folder.settings_in(place).task.options["path"] == str(data)
    assert str(data) in (place / "run.toml").read_text()


def test_a_run_that_is_over_answers_for_no_other_data_in_its_place(tmp_path):
    data = arrays(tmp_path / "one.npz")
    place, changes = tmp_path / "run", {"task": {"path": str(data), "cache": str(tmp_path / "cache")}}
    netwright.Run(
        place, task="arrays", trials=1, changes=changes | {"evaluator": {"steps": 1, "batch": 8}}, **SMALL
    ).search()
    assert len(netwright.Run(place).search().trials) == 1
    arrays(data, seed=1)
    with pytest.raises(StoreError, match="have changed since this run began"):
        netwright.Run(place).search()


@pytest.mark.parametrize("kind", ["arrays", "image_folder"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_one_image_that_was_replaced_under_its_name_is_noticed(tmp_path, kind, split):
    data, task = made(kind, tmp_path / "data")
    named = refs.parse(task)
    place = Reference(named.name, {**named.options, "path": str(data), "cache": str(tmp_path / "c")})
    first = building.load_task(place)
    before, [position] = first.fingerprint(), first.data.positions[split][:1].tolist()
    if kind == "arrays":
        held = dict(np.load(data))
        held["images"][int(first.data.names(position).split()[-1]), 0, 0, 0] ^= 1
        np.savez(data, **held)
    else:
        image = data / first.data.names(position)
        image.write_bytes(next(data.rglob("*.*")).read_bytes() + bytes(7))
    found = building.load_task(place).fingerprint()
    assert not whereabouts.is_same_data(before, found)
    assert before.partition("-")[2] != found.partition("-")[2]


def test_arrays_are_known_however_they_are_packed(tmp_path):
    data = arrays(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", **np.load(data))
    prints = {
        building.load_task(Reference("arrays", {"path": str(place), "cache": str(tmp_path / "c")})).fingerprint()
        for place in (data, tmp_path / "b.npz")
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("known", "is_same"),
    [("aa-bb", True), ("aa", True), ("aa-cc", False), ("a", False), ("ab", False), ("aa-", False), ("", False)],
)
def test_what_earlier_releases_noted_is_compared_by_what_they_noted(known, is_same):
    assert whereabouts.is_same_data(known, "aa-bb") is is_same
    assert whereabouts.is_same_data(known, known)


def test_tasks_state_their_whereabouts():
    for name in ("arrays", "image_folder", "cifar10", "cifar100"):
        assert set(whereabouts.of(Reference(name))) == {"path", "cache", "memory_share"}
    assert whereabouts.of(Reference("digits")) == ()
    one, other = Reference("arrays", {"path": "a"}), Reference("arrays", {"path": "b", "valid": 0.1})
    assert not whereabouts.differ_alone(one, other) and not whereabouts.differ_alone(one, one)
    assert whereabouts.differ_alone(one, Reference("arrays", {"path": "b", "cache": "c"}))


def test_where_no_fingerprint_is_known_another_place_is_another_run(tmp_path):
    run = run_file.from_tables({"task": f"{__name__}:Placed(path='a')", "limits": {"trials": 1}})
    with ownership.opened(tmp_path / "run", run) as opened, opened.table() as (store, _):
        store.add(Proposal((0,)), "key", 0, Result({"valid_accuracy": 0.5}))
    other = run_file.override(run, "task", {"path": "b"})
    with pytest.raises(BadRunFile, match=r"its task\.path is a, not b"), ownership.opened(tmp_path / "run", other):
        pass
