"""The executor for Ray without Ray: its options, and what it does at what the connected process says."""

import json
import sys
import time
from types import SimpleNamespace

import pytest

from netwright.core import extras
from netwright.core.errors import MissingCapability, WorkerError
from netwright.core.protocols import Halts, IsBounded, Job, WorksElsewhere
from netwright.core.records import Proposal
from netwright.executors import ray as ray_module
from netwright.executors import ray_link
from netwright.executors.ray import Ray
from netwright.executors.ray_bridge import Duty, Terms
from netwright.stores.sqlite import SqliteStore

WAIT = 30.0  # seconds

# in place of the process that connects: it says what stands in a file, and notes what it hears
BRIDGE = """
import json, os, sys
terms, up = json.loads(sys.argv[1]), int(sys.argv[2])
with open(os.path.join(terms["logs"], "heard"), "a") as heard:
    print(json.dumps(terms), file=heard, flush=True)
    says = open(os.path.join(terms["logs"], "says")).readlines()
    os.write(up, says.pop(0).encode())
    for line in sys.stdin:
        print(line.strip(), file=heard, flush=True)
        if json.loads(line)["say"] == "begin":
            os.write(up, "".join(says).encode())
        if json.loads(line)["say"] == "end" or terms["address"] == "10.0.0.1:1":
            break
"""


@pytest.fixture
def has_ray(monkeypatch):
    monkeypatch.setattr(extras, "check", lambda *_: None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "executor.workers is 0; it must be at least 1"),
        ({"cpus": 0}, "executor.cpus is 0; it must be at least 1"),
        ({"gpus": 1.5}, "executor.gpus is 1.5; give a whole number, or a share below 1"),
        ({"gpus": -1}, "executor.gpus is -1; it must be a number of at least 0"),
        ({"memory_mb": float("nan")}, "executor.memory_mb is nan; it must be a number of at least 0"),
        ({"port": 70000}, "executor.port is 70000; it must be from 1 to 65535, or 0 for a free one"),
        ({"namespace": "a b"}, "executor.namespace is 'a b'; give letters, digits, dots and hyphens"),
        ({"working_dir": "/no/such"}, "executor.working_dir is /no/such; there is no such folder"),
        ({"resources": "a"}, "executor.resources is 'a'; give NAME=NUMBER, with commas between several"),
        ({"resources": "a=1,a=2"}, "give NAME=NUMBER"),
        ({"resources": "a=inf"}, "give NAME=NUMBER"),
        ({"resources": "GPU=1"}, "executor.resources names GPU; give executor.gpus instead"),
        ({"address": "here"}, "executor.address is here; give HOST:PORT, as `ray start` printed it, or auto"),
        ({"address": "ray://a:1"}, "that is Ray's protocol for clients"),
        ({"address": "127.0.0.1:6379"}, "Ray does not find itself there"),
        ({"patience_minutes": -1}, "executor.patience_minutes is -1; it must be a number of at least 0"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(WorkerError) as refusal:
        Ray(**options)
    assert sentence in str(refusal.value)


def test_without_ray_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingCapability) as refusal:
        Ray(workers=1)
    assert str(refusal.value) == 'the executor ray needs the package ray: pip install "netwright[ray]"'


def test_it_is_an_executor_with_all_that_the_search_asks_for(has_ray):
    executor = Ray(workers=5, address="auto")
    for protocol in (Halts, IsBounded, WorksElsewhere):
        assert isinstance(executor, protocol)
    assert executor.bounded(3).workers == 3
    assert executor.bounded(None).workers == 5
    assert Ray(address="10.0.0.1:1", workers=20_000).bounded(None).workers == 20_000, "they are elsewhere"
    with pytest.raises(WorkerError, match=r"executor\.workers is 20000, but"):
        Ray(workers=20_000).bounded(None)


def test_what_an_actor_takes_is_said_in_the_words_of_ray(has_ray):
    assert Ray(workers=1).needs == {"num_cpus": 1, "num_gpus": 0.0}
    asked = Ray(workers=1, cpus=4, gpus=0.5, memory_mb=1.5, resources="tpu=1, disk=0.25").needs
    assert asked == {
        "num_cpus": 4,
        "num_gpus": 0.5,
        "memory": 1_500_000,
        "resources": {"tpu": 1.0, "disk": 0.25},
    }


class Said:
    """A search by a made-up connection."""

    def __init__(self, folder, monkeypatch, *messages, address="10.0.0.2:6379", connected=True, host="127.0.0.2"):
        program = folder / "made_up_bridge.py"
        program.write_text(BRIDGE)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
        original = ray_link.Link
        monkeypatch.setattr(ray_module, "Link", lambda terms: original(terms, "made_up_bridge"))
        self.logs = folder / "logs"
        self.logs.mkdir()
        first = [{"say": "connected", "host": host}] if connected else []
        (self.logs / "says").write_text("".join(json.dumps(each) + "\n" for each in (*first, *messages)))
        self.store, self.shown = SqliteStore(str(folder / "trials.sqlite")), []
        self.executor = Ray(address=address, workers=2)
        self.job = Job(self.store, folder, say=self.shown.append)

    def start(self):
        self.executor.start(self.job)
        return self

    def poll_until(self, is_so):
        until = time.monotonic() + WAIT
        while not is_so():
            assert time.monotonic() < until
            self.executor.poll(0.02)

    @property
    def heard(self):
        return [json.loads(line) for line in (self.logs / "heard").read_text().splitlines()]


@pytest.fixture
def saying(tmp_path, has_ray, monkeypatch):
    made = []

    def start(*messages, **options):
        made.append(Said(tmp_path, monkeypatch, *messages, **options))
        return made[-1]

    yield start
    for each in made:
        each.executor.stop()
        each.store.close()


def test_actors_are_told_what_to_do_by_the_connected_process_and_not_on_a_command_line(saying):
    search = saying().start()
    search.poll_until(lambda: len(search.heard) == 2)
    terms, begin = search.heard
    assert (terms["address"], terms["workers"], terms["needs"]) == (
        "10.0.0.2:6379",
        2,
        {"num_cpus": 1, "num_gpus": 0.0},
    )
    assert begin["say"] == "begin"
    duty = Duty(**begin["duty"])
    *options, address, patience, seconds, name = duty.arguments[3:]
    assert options == ["--trust", "--leashed"]
    assert address.startswith("tcp://127.0.0.1:")
    assert (patience, seconds, name) == ("--patience", "600", "--name")
    token = duty.environment["NETWRIGHT_TOKEN"]
    assert token and token not in json.dumps(terms)
    search.executor.stop()
    assert search.heard[-1] == {"say": "end"}
    assert not (search.job.folder / "served.json").exists()


def test_the_table_of_a_ray_of_its_own_is_for_this_machine_alone_whatever_ray_calls_it(saying):
    search = saying(address="", host="10.1.2.3").start()
    search.poll_until(lambda: len(search.heard) == 2)
    assert any(word.startswith("tcp://127.0.0.1:") for word in search.heard[1]["duty"]["arguments"])


def test_the_row_of_a_lost_actor_goes_to_the_next_one_at_once_and_says_why(saying):
    lost = {"say": "lost", "seat": 0, "worker": "w0-1234abcd", "text": "its node has died", "code": 0}
    search = saying(lost)
    search.store.add(Proposal((0,)), "k", 1)
    search.store.add(Proposal((1,)), "l", 1)
    for name in ("w0-1234abcd-77-ff", "w0-1234abce-78-ff"):
        search.store.beat(name)
        assert search.store.claim(name)
    search.start()
    search.poll_until(lambda: any(row.status == "pending" for row in search.store.unfinished()))
    assert [row.status for row in search.store.unfinished()] == ["pending", "running"], "the other one is not concerned"


def test_that_nobody_has_a_place_is_said_once_and_that_somebody_has(saying):
    waiting = {"say": "waiting", "text": "CPU 0, GPU 0"}
    here = {"say": "here", "seat": 0, "worker": "w0-1", "text": "10.0.0.3", "code": 0}
    search = saying(waiting, waiting, here).start()
    search.poll_until(lambda: len(search.shown) == 2)
    assert search.shown == [
        "waiting for Ray: no worker has a place on the cluster, which has CPU 0, GPU 0",
        "a worker has a place on the cluster; the search goes on",
    ]


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        (
            [{"say": "failed", "seat": 1, "text": "No module named 'netwright'"}],
            "actors cannot be made: No module named 'netwright'",
        ),
        ([{"say": "left", "seat": 1, "worker": "w1-1", "code": 3}], "worker w1 cannot start: its last words"),
        ([{"say": "left", "seat": 1, "worker": "w1-1", "code": 2}] * 3, "worker w1 cannot start: its last words"),
    ],
)
def test_what_would_fail_for_ever_ends_the_search(saying, messages, sentence):
    search = saying(*messages)
    (search.logs / "w1.log").write_text("its last words\n")
    search.start()
    with pytest.raises(WorkerError) as failure:
        search.poll_until(lambda: False)
    assert sentence in str(failure.value)


def test_workers_that_are_told_to_leave_by_others_are_no_fault(saying):
    told = {"say": "left", "seat": 1, "worker": "w1-1", "code": 143}
    search = saying(*[told] * 5, {"say": "idle"}).start()
    search.executor.drain()
    search.poll_until(search.executor.is_idle)
    search.poll_until(lambda: {"say": "leave"} in search.heard)


def test_a_connection_that_ends_is_made_anew_and_said_when_it_fails_again(saying, monkeypatch):
    monkeypatch.setattr(ray_module, "LONGEST_WAIT", 0.05)
    search = saying(address="10.0.0.1:1").start()  # it ends when it was told to begin
    search.poll_until(lambda: sum("address" in each for each in search.heard) >= 3)
    assert not search.shown, "it is there again each time"
    (search.logs / "says").write_text(json.dumps({"say": "refused", "text": "nobody listens"}) + "\n")
    search.poll_until(lambda: search.shown)
    assert search.shown == ["waiting for Ray: no Ray answers at 10.0.0.1:1: nobody listens"]


def test_where_no_ray_answers_nothing_is_begun(saying):
    search = saying({"say": "refused", "text": "nobody listens"}, connected=False)
    with pytest.raises(WorkerError, match=r"no Ray answers at 10\.0\.0\.2:6379: nobody listens \(see .*ray\.log\)"):
        search.start()


def test_terms_are_text(has_ray):
    terms = Terms("a:1", "names", "run", 2, {"num_cpus": 1, "resources": {"x": 0.5}}, "", "", "/logs", is_leaving=True)
    assert Terms.from_json(terms.to_json()) == terms


def test_the_module_is_imported_without_ray():
    assert "ray" not in sys.modules


def test_ctrl_c_while_it_stops_leaves_no_server_and_no_folder(has_ray, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    left, executor = tmp_path / "ray", Ray(workers=1)
    left.mkdir()
    ended = []
    executor._folder = str(left)
    executor._link = SimpleNamespace(end=interrupted)
    executor._serving = SimpleNamespace(end=lambda: (ended.append(1), interrupted()))
    with pytest.raises(KeyboardInterrupt):
        executor.stop()
    assert ended == [1] and not left.exists()
