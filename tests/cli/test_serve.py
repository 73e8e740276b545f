"""`netwright serve` and the workers that join it: exit codes, and a controller that is killed under them."""

import signal
import subprocess
import sys
import time

from netwright.cli.worker import ASKED, OUT_OF_REACH
from netwright.executors.post import ENOUGH
from netwright.stores.served import TableServer
from netwright.stores.served_file import Served
from tests.cli.test_bad_input import run
from tests.executors.test_processes import assert_nothing_left
from tests.executors.test_served import PATIENCE, begun, wait_until
from tests.test_survival import TOYS, rows, undisturbed
from tests.verified import VERIFIED

RECIPE = f"""
seed = 3
limits = {{trials = 30}}
space = {{ref = "{TOYS}:ToySpace"}}
task = {{ref = "{TOYS}:ToyTask"}}
evaluator = {{ref = "{TOYS}:ToyEvaluator", seconds = 0.2}}
strategy = {{ref = "tournament", initial = 10}}
"""


def netwright(*words):
    """A command, in a process group of its own; what it says."""
    command = [sys.executable, "-m", "netwright", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def test_who_may_not_join_is_told_why(tmp_path, capsys):
    store = begun(tmp_path)
    with TableServer(store, tmp_path, log=lambda _sentence: None) as server:
        (tmp_path / "token").write_text("guessed")
        code, _, said = run(capsys, "worker", server.address, "--token-file", str(tmp_path / "token"))
        assert (code, "turned this process away" in said) == (2, True), said
        code, _, said = run(capsys, "worker", str(tmp_path), "--task.path", "elsewhere")
        assert code == 2
        assert "--task.path is the run's own" in said
        code, _, said = run(capsys, "worker", str(tmp_path), "--name", "two words")
        assert (code, "--name is 'two words'" in said) == (2, True), said
        assert server.token not in said
        code, _, said = run(capsys, "worker", server.address, "--token-file", str(tmp_path / "none"))
        assert (code, "there is no file" in said) == (2, True)
        address = server.address
    store.close()
    code, _, said = run(capsys, "worker", address, "--token-file", str(tmp_path / "token"), "--patience", "0")
    assert (code, "did not answer for 0 s" in said) == (OUT_OF_REACH, True)
    Served(address, "token", "run").write(tmp_path)
    code, _, said = run(capsys, "worker", tmp_path, "--patience", "0")
    assert (code, "on its own host alone, unless that is given --host" in said) == (OUT_OF_REACH, True)


@VERIFIED
def test_workers_go_on_with_a_controller_that_was_killed_and_started_again(tmp_path):
    """And say how they left."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    folder = tmp_path / "run"
    words = ("serve", tmp_path / "recipe.toml", "--out", folder)
    controller = netwright(*words)
    wait_until(lambda: (folder / "served.json").exists())
    asked, limited, last = (
        netwright("worker", folder),
        netwright("worker", folder, "--trials", 2, "--name", "two"),
        netwright("worker", folder, "--patience", PATIENCE),
    )
    wait_until(lambda: sum(row[5] == "done" for row in rows(folder)) >= 6)
    asked.send_signal(signal.SIGUSR1)
    assert asked.wait(PATIENCE) == ASKED
    assert limited.wait(PATIENCE) == ENOUGH
    controller.kill()
    controller.wait()
    assert (folder / "served.json").exists()
    time.sleep(1.0)
    again = netwright(*words)
    said, _ = last.communicate(timeout=PATIENCE)
    assert (last.returncode, "the search has ended" in said) == (0, True), said
    said, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, said
    found = rows(folder)
    assert [row[0] for row in found] == list(range(1, 31))
    assert sorted(row[6] for row in found) == list(range(1, 31))
    assert {row[5] for row in found} == {"done"}
    assert not (folder / "served.json").exists()
    assert_nothing_left(folder)


@VERIFIED
def test_one_worker_at_a_time_gives_the_undisturbed_table(tmp_path):
    """Whoever is killed: the worker, and then the controller."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    folder = tmp_path / "run"
    words = ("serve", tmp_path / "recipe.toml", "--out", folder)
    controller, worker = netwright(*words), None
    for number in (3, 9, 15):
        wait_until(lambda: (folder / "served.json").exists())
        if worker is None:
            worker = netwright("worker", folder)
        wait_until(lambda number=number: sum(row[5] == "done" for row in rows(folder)) >= number)
        if number == 9:
            controller.kill()
            controller.wait()
            controller = netwright(*words)
        else:
            worker.kill()
            worker.wait()
            worker = None
    worker = netwright("worker", folder)
    assert worker.wait(PATIENCE) == 0
    assert controller.wait(PATIENCE) == 0
    assert rows(folder) == undisturbed(30)
    assert_nothing_left(folder)
