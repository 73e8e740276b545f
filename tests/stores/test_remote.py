import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, closing

import pytest

from netwright.core import refs
from netwright.core.errors import ControlLost, StoreError
from netwright.core.records import Proposal, Result
from netwright.stores import connection, served_file, wire
from netwright.stores.memory import MemoryStore
from netwright.stores.remote import TOKEN, RemoteStore
from netwright.stores.served import TableServer
from netwright.stores.sqlite import SqliteStore
from netwright.testing.stores import CHECKS, PROPOSAL, RESULT, check_store, check_threads
from tests.stores.unreliable import Unreliable
from tests.verified import VERIFIED


def _served(folder, store=None, port=0, **options):
    folder.mkdir(exist_ok=True)
    return TableServer(store or MemoryStore(), folder, port=port, **options)


def _client(folder, **options):
    return RemoteStore(token_file=str(folder / served_file.NAME), **{"wait": 0.0, **options})


@pytest.mark.parametrize("kind", [MemoryStore, SqliteStore])
def test_it_is_a_store(kind, tmp_path):
    with ExitStack() as opened:
        folders = iter(tmp_path / str(number) for number in range(len(CHECKS)))

        def make():
            folder = next(folders)
            store = MemoryStore() if kind is MemoryStore else SqliteStore(str(folder / "t.sqlite"))
            opened.callback(store.close)
            opened.enter_context(_served(folder, store))
            return _client(folder)

        check_store(make)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=VERIFIED) for seed in range(2, 30))])
def test_it_is_one_over_a_network_that_loses_doubles_and_delays_messages(seed, tmp_path):
    for number, check in enumerate(CHECKS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (
            closing(SqliteStore(str(folder / "t.sqlite"))) as store,
            _served(folder, store) as server,
            Unreliable(wire.Endpoint.of(server.address).port, f"{seed} {number}") as network,
        ):
            client = RemoteStore(network.address, str(folder / served_file.NAME), wait=0.0, timeout=0.1)
            if check is check_threads:
                check_threads(client, rows=25, threads=3)
            else:
                check(client)
            client.close()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=VERIFIED) for seed in range(2, 30))])
def test_no_row_is_lost_or_counted_twice_when_the_server_is_killed_behind_such_a_network(seed, tmp_path):
    rows, counted = 30, []
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    for number in range(rows):
        store.add(Proposal((number,)), str(number), number)
    server = _served(tmp_path, store)
    server.__enter__()
    shutil.copy(tmp_path / served_file.NAME, tmp_path / "token")
    port = wire.Endpoint.of(server.address).port
    half, again = threading.Event(), threading.Event()
    with Unreliable(port, seed) as network:

        def work(name):
            own = RemoteStore(network.address, str(tmp_path / "token"), wait=0.2, timeout=0.25, patience=60)
            while (trial := own.claim(name)) is not None:
                counted.append((trial.id, own.finish(trial.id, Result({"a": float(trial.id)}), name)))
                if len(counted) > rows // 2:
                    half.set()
            own.close()

        team = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
        for thread in team:
            thread.start()
        assert half.wait(60)
        server.__exit__(None, None, None)
        again.set()
        os.replace(tmp_path / "token", tmp_path / served_file.NAME)  # as a killed one would have left it
        shutil.copy(tmp_path / served_file.NAME, tmp_path / "token")
        with _served(tmp_path, store, port=None) as successor:
            assert successor.address == server.address
            for thread in team:
                thread.join()
    finished = store.finished()
    assert sorted(trial.id for trial in finished) == list(range(1, rows + 1))
    assert [trial.result.metrics["a"] for trial in finished] == [float(trial.id) for trial in finished]
    assert sorted(number for number, counts in counted if counts) == list(range(1, rows + 1)), "each counted once"
    assert (store.unfinished(), sum(network.suffered.values()) > 100) == ([], True)
    store.close()


def test_a_worker_whose_claim_was_answered_into_the_void_is_given_that_row_by_the_next_server(tmp_path):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    store.add(PROPOSAL, "key", 1)
    with _served(tmp_path, store):
        first = _client(tmp_path).claim("w0")
    with _served(tmp_path, store):
        assert _client(tmp_path).claim("w0") == first
        assert _client(tmp_path).claim("w1") is None
    store.close()


def test_a_message_that_comes_again_is_answered_as_before_and_an_older_one_not_at_all(tmp_path):
    store = MemoryStore()
    with _served(tmp_path, store) as server, _greeted(server) as line:
        asked = {"n": 1, "do": "put_back", "with": ["w0"]}
        store.add(PROPOSAL, "key", 1)
        for _ in range(3):
            store.claim("w0")
            assert line(asked) == {"n": 1, "ok": 1}
        assert store.unfinished()[0].status == "running", "what came again did nothing"
        assert line({"n": 2, "do": "put_back", "with": ["w0"]}) == {"n": 2, "ok": 1}
        store.claim("w0")
        assert line(asked, {"n": 3, "do": "recall", "with": ["x"]}) == {"n": 3, "ok": None}
        assert store.unfinished()[0].status == "running", "what came late did nothing"


class _greeted:
    """A bare connection that was let in: called with messages, it sends them and gives the next answer."""

    def __init__(self, server, client="c"):
        place = wire.Endpoint.of(server.address)
        self._socket = socket.create_connection((place.host, place.port), 10)
        self._lines = self._socket.makefile("rb")
        hello = {"netwright": 1, "token": server.token, "client": client, "run": "", "host": "h", "pid": 1, "born": "b"}
        assert "ok" in self(hello)

    def __call__(self, *messages):
        self._socket.sendall(b"".join(map(wire.line, messages)))
        return json.loads(self._lines.readline())

    def __enter__(self):
        return self

    def __exit__(self, *fault):
        self._lines.close()
        self._socket.close()


def test_what_an_earlier_process_of_a_worker_still_says_changes_nothing(tmp_path):
    """Its messages may have been on their way for long; its successor has the same name and may have the same row."""
    store = MemoryStore()
    store.add(PROPOSAL, "key", 1)
    with _served(tmp_path, store):
        early, watching, late = _client(tmp_path), _client(tmp_path), _client(tmp_path)
        assert early.claim("w0").id == 1
        watching.beat("w0")
        assert watching.requeue(0.0, "w0") == 1
        assert late.claim("w0").id == 1
        assert not early.finish(1, Result({"a": 1.0}), "w0")
        assert (early.put_back("w0"), early.requeue(0.0, "w0"), store.finished()) == (0, 0, [])
        with pytest.raises(StoreError, match="another process works as 'w0' by now"):
            early.claim("w0")
        assert watching.put_back("w0") == 1, "who watches over the worker is heard"
        late.claim("w0")
        assert late.finish(1, RESULT, "w0")


def test_a_reference_opens_it_in_another_process(tmp_path, monkeypatch):
    store = MemoryStore()
    store.remember("run", "seed = 1")
    with _served(tmp_path, store) as server:
        for own in (_client(tmp_path, patience=5.0), RemoteStore(server.address, str(tmp_path / "served.json"))):
            assert server.token not in own.address
            assert refs.load("store", refs.parse(own.address)).recall("run") == "seed = 1"
        monkeypatch.setenv(TOKEN, server.token)
        own = RemoteStore(server.address)
        assert own.address == f"remote(at={server.address!r})"
        assert refs.load("store", refs.parse(own.address)).recall("run") == "seed = 1"
        monkeypatch.delenv(TOKEN)  # as a worker does, that what its trials start may not have it
        child = os.fork()
        if child == 0:  # which has the connection of its parent, and must not speak on it
            os._exit(0 if own.recall("run") == "seed = 1" else 1)
        assert own.recall("run") == "seed = 1"
        assert os.waitpid(child, 0)[1] == 0


def test_who_is_not_wanted_hears_why_in_one_sentence(tmp_path, monkeypatch):
    said = []
    with _served(tmp_path, log=said.append) as server:
        monkeypatch.delenv(TOKEN, raising=False)
        with pytest.raises(StoreError, match=f"no token for {server.address}.*{TOKEN}"):
            RemoteStore(server.address)
        monkeypatch.setenv(TOKEN, "guessed")
        with pytest.raises(StoreError, match="turned this process away: its token is not that of the run"):
            RemoteStore(server.address)
        monkeypatch.setenv(TOKEN, server.token)
        elsewhere = server.address.replace("127.0.0.1", "192.0.2.1")
        with pytest.raises(StoreError, match="names no certificate"):
            RemoteStore(elsewhere)
        with pytest.raises(StoreError, match="write tcp://HOST:PORT"):
            RemoteStore("localhost")
        assert len(said) == 1 and server.token not in said[0]


def test_a_server_that_is_gone_is_waited_for_and_then_given_up(tmp_path):
    with _served(tmp_path) as server:
        own = RemoteStore(server.address, str(_copy(tmp_path)), patience=0.3)
    with pytest.raises(StoreError, match=r"did not answer for 0.3 s \(Connection refused\)"):
        own.recall("run")
    with pytest.raises(StoreError, match="did not answer"):
        RemoteStore(server.address, str(tmp_path / "copy"), patience=0.0)


def test_another_run_at_the_same_place_is_not_taken_for_this_one(tmp_path):
    with _served(tmp_path) as server:
        own = RemoteStore(server.address, str(_copy(tmp_path)), patience=0.2)
        port = wire.Endpoint.of(server.address).port
    with _served(tmp_path / "other", port=port), pytest.raises(StoreError, match="its token is not that of the run"):
        own.recall("run")
    other = _served(tmp_path / "other", port=port)
    (tmp_path / "other" / served_file.NAME).write_text((tmp_path / "copy").read_text())
    with other:  # it takes no token of another run
        with pytest.raises(StoreError, match="its token is not that of the run"):
            own.recall("run")
        shutil.copy(tmp_path / "other" / served_file.NAME, tmp_path / "copy")  # as where a folder was replaced
        with pytest.raises(StoreError, match=f"it belongs to the run '{server.run}', and the one here is {other.run}"):
            own.recall("run")


def _copy(folder):
    return shutil.copy(folder / served_file.NAME, folder / "copy")


def test_a_controller_that_is_started_again_elsewhere_is_found_by_the_file_of_the_run(tmp_path):
    store = MemoryStore()
    with _served(tmp_path, store) as first:
        own = _client(tmp_path)
        assert own.recall("run") is None
    with socket.create_server(("127.0.0.1", wire.Endpoint.of(first.address).port)), _served(tmp_path, store) as second:
        assert second.address != first.address
        store.remember("run", "x")
        assert own.recall("run") == "x"


def test_a_program_that_took_the_port_and_says_nothing_is_soon_left(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "CONNECTING", 0.1)
    with closing(SqliteStore(str(tmp_path / "table"))) as table:
        with TableServer(table, tmp_path, port=0) as server:
            known = served_file.read(tmp_path / served_file.NAME)
            client = _client(tmp_path, timeout=3600.0, patience=3600.0)
        with socket.create_server((wire.Endpoint.of(server.address).host, wire.Endpoint.of(server.address).port)):
            known.write(tmp_path)
            asking = threading.Thread(target=client.missing)
            asking.start()
            time.sleep(0.3)
            with TableServer(table, tmp_path, port=0):
                asking.join(60)
                assert not asking.is_alive()
                client.close()


def test_whether_a_row_was_added_is_not_guessed_when_the_controller_was_started_again(tmp_path, monkeypatch):
    store = MemoryStore()
    with _served(tmp_path, store):
        own = _client(tmp_path)
        own._connection.ask = lambda *arguments: (_ for _ in ()).throw(ConnectionResetError())
    with _served(tmp_path, store), pytest.raises(StoreError, match="whether it did is not known"):
        own.add(PROPOSAL, "key", 1)


def test_errors_come_as_what_they_were(tmp_path):
    def lose(caller, name):
        raise ControlLost(f"{name} was lost by {caller.host}")

    with _served(tmp_path, methods={"lose": lose, "size": lambda caller, text: len(text)}):
        own = _client(tmp_path)
        assert own.call("size", "abc") == 3
        with pytest.raises(ControlLost, match=f"w0 was lost by {socket.gethostname()}"):
            own.call("lose", "w0")
        with pytest.raises(StoreError, match="knows no request 'steal'"):
            own.call("steal")
        with pytest.raises(StoreError, match="claim does not go with the values"):
            own.call("claim", 7, 0.0)
        with pytest.raises(StoreError, match="holds what no table can"):
            own.remember("x", float("nan"))
        assert own.recall("x") is None


def test_a_claim_waits_for_a_row(tmp_path):
    store = MemoryStore()
    with _served(tmp_path, store):
        gone, own = _client(tmp_path, wait=20.0), _client(tmp_path, wait=20.0)
        gone._patience, gone._timeout = 0.0, -19.9  # which leaves it a tenth of a second
        with pytest.raises(StoreError, match="did not answer"):
            gone.claim("gone")
        found = []
        waiting = threading.Thread(target=lambda: found.append(own.claim("w0")))
        waiting.start()
        time.sleep(0.05)
        store.add(PROPOSAL, "key", 1)
        waiting.join(10)
        assert [trial.id for trial in found] == [1], "and the one that has left is given none"


def test_many_rows_come_in_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "PAGE_ROWS", 3)
    monkeypatch.setattr(wire, "PAGE_BYTES", 700)
    store = MemoryStore()
    for number in range(20):
        store.add(Proposal((number,) * (1 + number % 2 * 200)), str(number), number, RESULT if number < 11 else None)
    with _served(tmp_path, store):
        own = _client(tmp_path)
        assert own.finished() == store.finished()
        assert own.finished(2, 7) == store.finished(2, 7)
        assert own.finished(2, 0) == []
        assert own.unfinished() == store.unfinished()


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate by whatever can make one here, and a loopback address that counts as one of another machine."""
    folder = tmp_path / "run"
    folder.mkdir()
    try:
        import cryptography  # noqa: F401
    except ImportError:
        if not shutil.which("openssl"):
            pytest.skip("neither the package cryptography nor the command openssl is here")
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=netwright -days 9 -keyout"
        both = [str(folder / "key"), "-out", str(folder / "certificate")]
        subprocess.run([*new.split(), *both], check=True, capture_output=True)
        (folder / served_file.CERTIFICATE).write_text("".join((folder / n).read_text() for n in ("key", "certificate")))
    monkeypatch.setattr(wire.Endpoint, "is_loopback", property(lambda self: False))
    return folder


def test_beyond_the_loopback_address_it_is_encrypted_and_the_certificate_must_be_the_one_of_the_token(
    certificate, monkeypatch
):
    with _served(certificate) as server:
        assert {(certificate / name).stat().st_mode & 0o777 for name in ("served.json", "served.pem")} == {0o600}
        own = _client(certificate)
        assert own._connection._socket.version() == "TLSv1.3"
        own.remember("x", "y" * 100_000)
        assert own.recall("x") == "y" * 100_000
        place = wire.Endpoint.of(server.address)
        with socket.create_connection((place.host, place.port), 10) as plain:
            plain.sendall(b'{"netwright":1}\n')
            assert b"netwright" not in plain.recv(100), "no word in the open"
        secret, _, fingerprint = server.token.partition(".")
        monkeypatch.setenv(TOKEN, f"{secret}.{fingerprint[::-1]}")
        with pytest.raises(StoreError, match="shows another certificate than the token names"):
            RemoteStore(server.address)
    assert not (certificate / "served.pem").exists()
