"""A real Ray, whose nodes, actors, driver and controller end at any time: every asked row once, nothing left running.

Part of `make cluster-test`, which installs Ray; minutes.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from netwright.executors.ray_outpost import SEAT
from tests.cluster import ray_cluster, searching
from tests.cluster.ray_cluster import NODES, search
from tests.cluster.ray_search import disturbed
from tests.cluster.searching import assert_exact, ended, finished

pytestmark = [
    pytest.mark.skipif(not os.environ.get("NETWRIGHT_CLUSTER"), reason="part of `make cluster-test`"),
    pytest.mark.skipif(bool(ray_cluster.missing()), reason=ray_cluster.missing() or "Ray is here"),
    pytest.mark.timeout(1200),
]
PATIENCE = 400  # seconds


@pytest.fixture(scope="module")
def ray():
    with ray_cluster.started() as made:
        yield made


@pytest.fixture
def cluster(ray):
    """All nodes are up, and afterwards nothing of a search is left on them."""
    ray.mend()
    yield ray
    wait_until(lambda: not left(), seconds=60)


def left():
    """Processes that belong to a place of a search, and actors."""
    found = []
    for process in psutil.process_iter():
        try:
            is_one = SEAT in process.environ() or process.cmdline()[:1] == ["ray::Outpost"]
            if is_one and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.pid, " ".join(process.cmdline())[:80]))
        except (psutil.Error, OSError):
            continue
    return found


def begun(cluster, folder, after=2, **options):
    return searching.begun(search(cluster, folder, **options), cluster.variables, folder, after)


def wait_until(is_so, seconds=PATIENCE):
    searching.wait_until(is_so, seconds, left)


def hosts(folder):
    """The workers that took a place, in order, as often as that was said."""
    return re.findall(r"(w\d+-[0-9a-f]{8}) is on", (folder / "run" / "logs" / "ray.log").read_text())


def test_nodes_are_killed_every_15_seconds(cluster, tmp_path):
    kills, code, said = disturbed(cluster, tmp_path, seconds=3.0)
    assert code == 0, said
    assert kills >= 2
    assert_exact(tmp_path, 60)


def test_a_controller_is_killed_and_its_actors_work_on_for_the_next_one(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=40)
    wait_until(lambda: len(hosts(tmp_path)) == NODES)
    before = set(hosts(tmp_path))
    program.kill()
    program.wait()
    done = finished(tmp_path)
    wait_until(lambda: not any("ray_bridge" in " ".join(each.cmdline()) for each in children_of(cluster)))
    assert len([each for each in left() if each[1].startswith("ray::Outpost")]) == NODES, "the actors are there"
    code, said = ended(begun(cluster, tmp_path, after=done, trials=40))
    assert code == 0, said
    assert set(hosts(tmp_path)) == before, "no actor was made anew"
    assert_exact(tmp_path, 40)


def children_of(cluster):
    """Processes that were given the address of the cluster."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(cluster.address in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [each for each in found if each.is_running()]


def test_a_cluster_shrinks_to_nothing_and_comes_back(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=30)
    for number in range(1, NODES + 1):
        cluster.kill(number)
    log = tmp_path / "run" / "logs" / "ray.log"
    wait_until(lambda: "waiting" in log.read_text())
    assert finished(tmp_path) < 30
    assert cluster.start(2).wait(PATIENCE) == 0
    code, said = ended(program)
    assert code == 0, said
    _, _, after = said.partition("trial 2:")  # on a busy machine the first ones may be waited for, too
    assert after.count("waiting for Ray: no worker has a place on the cluster, which has CPU") == 1
    assert after.count("the search goes on") == 1
    assert_exact(tmp_path, 30)


def test_the_process_that_is_connected_is_killed_and_the_search_connects_anew(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=40)
    wait_until(lambda: len(hosts(tmp_path)) == NODES)
    before = set(hosts(tmp_path))
    (bridge,) = (each for each in psutil.Process(program.pid).children() if "ray_bridge" in " ".join(each.cmdline()))
    bridge.kill()
    code, said = ended(program)
    assert code == 0, said
    assert set(hosts(tmp_path)) == before
    assert "waiting for Ray" not in said.partition("trial 2:")[2]
    assert_exact(tmp_path, 40)


def test_an_actor_is_killed_and_replaced(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=40)
    os.kill(next(pid for pid, words in left() if words.startswith("ray::Outpost")), signal.SIGKILL)
    code, said = ended(program)
    assert code == 0, said
    assert_exact(tmp_path, 40)


def test_ctrl_c_lets_trials_finish_and_the_same_command_goes_on(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=20)
    program.send_signal(signal.SIGINT)
    code, said = ended(program)
    assert code == 130, said
    assert 0 < finished(tmp_path) < 20
    wait_until(lambda: not left(), seconds=60)
    code, said = ended(begun(cluster, tmp_path, after=finished(tmp_path), trials=20))
    assert code == 0, said
    assert_exact(tmp_path, 20)


def test_where_no_ray_answers_one_sentence_says_so(cluster, tmp_path):
    words = search(cluster, tmp_path, trials=2, address="127.0.0.2:9")
    ran = subprocess.run(words, env=cluster.variables, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 2
    assert "no Ray answers at 127.0.0.2:9" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif((os.getloadavg()[0]) > 4 * (os.cpu_count() or 1), reason="a busy machine is too slow for Ray")
def test_without_an_address_a_ray_is_started_and_ended(tmp_path):
    words = search(ray_cluster.RayNodes(tmp_path, 0), tmp_path, trials=4, workers=2)
    at = words.index("--executor.address")
    del words[at : at + 2]
    variables = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    variables |= {"PYTHONPATH": ray_cluster.RayNodes(tmp_path, 0).variables["PYTHONPATH"], "HOME": str(tmp_path)}
    ran = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    assert_exact(tmp_path, 4)
    assert not (tmp_path / ".ray").exists(), "Ray leaves no token"
    assert not list(Path("/tmp").glob("nw-ray-??????????-*"))
    assert not left()
