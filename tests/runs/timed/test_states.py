"""States that lie in the folder of a timed run, once it is over."""

from contextlib import closing

from netwright.core import trial_folders
from netwright.core.records import Proposal
from netwright.runs import run_folder
from netwright.runs.timed import states
from tests.runs.timed.test_contest import ROWS, SECOND, played, run_with


def test_only_states_that_a_trial_waits_for_stay(tmp_path):
    folder = tmp_path / "run"
    run = run_with(ROWS, folder)
    played(run, folder)
    trials = folder / "trials"
    with closing(run_folder.open_table(folder, "join")) as store:
        waiting = store.add(Proposal(SECOND, budget=9, continues=2), "k", 1)
    (trial_folders.folder_of(trials, waiting)).mkdir()
    own = trial_folders.folder_of(trials, 3)
    (own / "mine.txt").write_text("not a state")
    [*trained] = run_folder.trainings(folder)
    assert trained and all(list(place.rglob(trial_folders.ENDS)) for place in trained) and (folder / "begin").exists()
    states.clear(folder)
    assert [path.relative_to(trials).as_posix() for path in folder.rglob(trial_folders.ENDS)] == [
        "000002/end-0.safetensors"
    ]
    assert sorted(path.name for path in trials.iterdir()) == ["000002", "000003", trial_folders.name_of(waiting)]
    assert [path.name for path in own.iterdir()] == ["mine.txt"]
    assert not [path for path in (folder / "begin").rglob("*") if path.is_file()]
    states.clear(folder)


def test_what_lies_behind_links_stays(tmp_path):
    folder = tmp_path / "run"
    played(run_with(ROWS, folder), folder)
    for place in (trial_folders.folder_of(folder / "trials", 4), run_folder.trainings(folder)[0]):
        place.rename(tmp_path / place.name)
        place.symlink_to(tmp_path / place.name)
    states.clear(folder)
    found = {path.parent.name for path in tmp_path.rglob(trial_folders.ENDS)}
    assert "000004" in found and len(found) > 1


def test_a_run_is_over_though_its_table_is_damaged(tmp_path):
    folder = tmp_path / "run"
    run_with(ROWS, folder)
    (folder / "trials.sqlite").write_bytes(b"no table")
    states.clear(folder)
    assert list(folder.rglob(trial_folders.ENDS))
