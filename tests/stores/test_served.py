import asyncio
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from netwright.core.errors import StoreError
from netwright.core.records import Proposal
from netwright.stores import playing, requests, served, served_file, wire
from netwright.stores.memory import MemoryStore
from netwright.stores.remote import RemoteStore
from netwright.stores.served import TableServer
from netwright.stores.sqlite import SqliteStore
from netwright.testing.stores import PROPOSAL

BOMB = b"\x80\x04cposix\nsystem\n(S'touch exploded'\ntR."  # a pickle


def _client(server, folder, **options):
    return RemoteStore(server.address, str(folder / served_file.NAME), **{"wait": 0.0, **options})


def _said(server, *pieces):
    """All that the server answers to these bytes, of which those in braces are greetings."""
    place = wire.Endpoint.of(server.address)
    with socket.create_connection((place.host, place.port), 10) as line:
        for piece in pieces:
            line.sendall(piece)
        line.shutdown(socket.SHUT_WR)
        return line.makefile("rb").read()


def _greeting(server, **changed):
    known = {"netwright": 1, "token": server.token, "client": "c", "run": "", "host": "h", "pid": 1, "born": "b"}
    return wire.line({**known, **changed})


def test_whatever_is_no_greeting_is_turned_away_in_a_sentence_and_the_others_are_served_on(tmp_path):
    said = []
    with TableServer(MemoryStore(), tmp_path, port=0, log=said.append) as server:
        own = _client(server, tmp_path)
        refused = {
            b"\n": "is not valid JSON",
            BOMB + b"\n": "is not valid JSON",
            b"GET / HTTP/1.1\r\n\r\n": "is not valid JSON",
            b"[1]\n": "no JSON object",
            b"{}\n": "its greeting has no netwright",
            b"[" * 3000 + b"\n": "within each other",
            b'{"a":' * 600 + b"1" + b"}" * 600 + b"\n": "within each other",
            b'{"netwright":1' + b"0" * 3000 + b"}\n": "number",
            b"x" * 5000: "longer than 4,096 bytes",
            b'{"token":NaN}\n': "NaN",
            _greeting(server, token="guessed"): "its token is not that of the run",
            _greeting(server, token="\ud800"): "its token is not that of the run",
            _greeting(server, token=None): "its greeting has no token",
            _greeting(server, pid=True): "its greeting has no pid",
            _greeting(server, netwright=2): "it speaks protocol 2, and this is 1",
            _greeting(server, run="other"): "it belongs to the run 'other', and the one here is",
        }
        for sent, why in refused.items():
            answer = _said(server, sent).decode()
            assert why in answer and answer.count("\n") == 1 and "Traceback" not in answer, (sent[:80], answer)
        assert _said(server, b"") == b"" and _said(server, b"{") == b"", "who leaves is not answered"
        assert len(said) == len(refused) and not any(server.token in line or "\n" in line for line in said)
        assert own.recall("x") is None
    assert not os.path.exists("exploded")


def test_whatever_is_no_request_is_refused_in_a_sentence(tmp_path):
    said, store = [], MemoryStore()
    store.add(PROPOSAL, "key", 1)
    with TableServer(store, tmp_path, port=0, log=said.append) as server:
        for sent in (
            BOMB + b"\n",
            b'{"n":1}\n',
            b'{"n":-1,"do":"tally","with":[]}\n',
            b'{"n":1,"do":"tally","with":{}}\n',
        ):
            answer = _said(server, _greeting(server), sent).splitlines()[1:]
            assert len(answer) == 1 and b'{"error":["StoreError","it' in answer[0], sent
        assert len(said) == 4
        asked = [
            ("__init__", []),
            ("claim", []),
            ("claim", ["", 0]),
            ("claim", ["w" * 300, 0]),
            ("claim", ["w0", "x"]),
            ("claim", [["w0"], 0]),
            ("finish", [1, [], "w0"]),
            ("finish", [1, ["done", "{}", "[]", 0.0, "", "", None, 5], "w0"]),
            ("finish", [True, ["done"] * 8, None]),
            ("finish", [-1, ["done"] * 8, None]),
            ("finish", [1, [{"a": 1}, [], {}, 0.0, "", "", None, 5], "w0"]),
            ("add", [[1] * 8, None]),
            ("finished", [0, 10**9]),
            ("finished", [-1, 1]),
            ("finished", [2**63, 1]),
            ("requeue", [None, None, ""]),
            ("remember", ["x", 7]),
            ("best", ["a", 1]),
        ]
        lines = [wire.line({"n": n, "do": do, "with": values}) for n, (do, values) in enumerate(asked, 1)]
        answers = _said(server, _greeting(server), *lines).splitlines()[1:]
        assert len(answers) == len(asked)
        for (do, values), answer in zip(asked, answers, strict=True):
            assert b'"error":["StoreError"' in answer, (do, values, answer)
        assert [trial.status for trial in store.unfinished()] == ["pending"]


def test_a_fault_of_ours_is_told_and_ends_nothing(tmp_path):
    said, store = [], MemoryStore()
    store.tally = lambda: 1 / 0
    with TableServer(store, tmp_path, port=0, log=said.append) as server:
        [_, answer, after] = _said(
            server, _greeting(server), b'{"n":1,"do":"tally","with":[]}\n', b'{"n":2,"do":"missing","with":[]}\n'
        ).splitlines()
    assert b"'tally' failed where the table is: ZeroDivisionError" in answer
    assert after == b'{"n":2,"ok":[]}'
    assert len(said) == 1 and "ZeroDivisionError" in said[0]


def test_connections_and_silence_have_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(served, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(served, "GREETING_SECONDS", 0.1)
    monkeypatch.setattr(served, "SWEEP", 0.02)
    with TableServer(MemoryStore(), tmp_path, port=0, log=lambda line: None) as server:
        own = _client(server, tmp_path, patience=10.0)
        place = wire.Endpoint.of(server.address)
        with socket.create_connection((place.host, place.port), 10) as silent:
            assert b"2 connections are open already" in _said(server, _greeting(server))
            assert silent.recv(10) == b"", "who says nothing is let go"
        monkeypatch.setattr(served, "IDLE_SECONDS", 0.1)
        time.sleep(0.3)
        assert not server._connections
        assert own.recall("x") is None, "and comes back when there is something to say"


def test_as_many_files_are_allowed_as_connections_take():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 10**6
    if most < 2000:
        pytest.skip("this process is allowed too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        served._allow_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1324, hard)
        served._allow_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1324, hard), "never fewer than before"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_logged_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(served, "MOST_LOGGED", 3)
    said = []
    with TableServer(MemoryStore(), tmp_path, port=0, log=said.append) as server:
        for _ in range(6):
            _said(server, b"\n")
    assert len(said) == 4 and said[-1].startswith("3 such lines were written")


def test_a_port_that_is_taken_is_passed_over_unless_it_was_asked_for(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(wire, "PORT", port)
        with TableServer(MemoryStore(), tmp_path) as first:
            assert wire.Endpoint.of(first.address).port != port
        with pytest.raises(
            StoreError, match=f"cannot listen at port {port} of .*: Address already in use; give another"
        ):
            TableServer(MemoryStore(), port=port).__enter__()
    with pytest.raises(StoreError, match=r"cannot listen at 192\.0\.2\.1"):
        served._listening("192.0.2.1", None, None)
    with pytest.raises(StoreError, match="'no host' is no address of this machine"):
        served._listening("no host", None, None)
    monkeypatch.setattr(served, "PORTS", 1)
    with TableServer(MemoryStore()), pytest.raises(StoreError, match="are all taken"):
        TableServer(MemoryStore()).__enter__()


def test_servers_that_begin_at_the_same_instant_get_ports_of_their_own():
    together = threading.Barrier(4)

    def begin(_):
        together.wait()
        return served._listening("127.0.0.1", None, None)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            listening = list(pool.map(begin, range(4)))
            assert len({each.getsockname()[1] for each in listening}) == 4
            for each in listening:
                each.close()


def test_it_leaves_nothing_and_its_file_is_for_its_user_alone(tmp_path):
    before = threading.active_count()
    store = MemoryStore()
    with TableServer(store, tmp_path) as server:
        assert [path.name for path in tmp_path.iterdir()] == ["served.json"]
        assert (tmp_path / "served.json").stat().st_mode & 0o777 == 0o600
        assert served_file.read(tmp_path / "served.json").token == server.token
        own = _client(server, tmp_path)
        own.beat("w0", "x")
        [there] = server.present()
        assert (there.worker, there.host, there.pid) == ("w0", socket.gethostname(), os.getpid())
    place = wire.Endpoint.of(server.address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((place.host, place.port), 1)
    assert (list(tmp_path.iterdir()), threading.active_count()) == ([], before)
    with TableServer(store, tmp_path) as again:
        assert again.run == server.run and again.token != server.token


def test_a_file_that_a_killed_server_left_is_taken_up_and_one_that_is_damaged_is_not(tmp_path):
    store = MemoryStore()
    with TableServer(store, tmp_path, port=0) as server:
        left = (tmp_path / "served.json").read_bytes()
    (tmp_path / "served.json").write_bytes(left)
    with TableServer(store, tmp_path) as again:
        assert (again.address, again.token) == (server.address, server.token)
    (tmp_path / "served.json").write_bytes(left[:-20])
    with TableServer(store, tmp_path) as other:
        assert other.token != server.token


def test_a_server_that_another_one_has_replaced_leaves_the_file_of_that_one(tmp_path):
    store, asleep = MemoryStore(), ExitStack()
    before = asleep.enter_context(TableServer(store, tmp_path))
    with TableServer(store, tmp_path) as now:
        assert now.address != before.address and now.token == before.token
        asleep.close()
        assert served_file.read(tmp_path / "served.json").address == now.address
    assert list(tmp_path.iterdir()) == []


def test_a_loop_that_cannot_begin_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    before = threading.active_count()

    async def refused(*_values, **_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(served.asyncio, "start_server", refused)
    with pytest.raises(StoreError, match="Too many open files; try again"):
        TableServer(MemoryStore(), tmp_path).__enter__()
    assert (list(tmp_path.iterdir()), threading.active_count()) == ([], before)


def test_an_empty_token_is_taken_up_from_nowhere(tmp_path):
    store = MemoryStore()
    with TableServer(store, tmp_path, port=0) as server:
        run = server.run
    served_file.Served(server.address, "", run).write(tmp_path)
    with TableServer(store, tmp_path) as again:
        assert again.token
        assert b"its token is not that of the run" in _said(again, _greeting(again, token=""))


class _Counted(SqliteStore):
    """Counts commits, and makes those fail that are asked to."""

    fails = False

    @contextmanager
    def together(self):
        with super().together():
            yield
            self.groups = getattr(self, "groups", 0) + 1
            if self.fails:
                raise StoreError("the disk is full")


def test_requests_that_wait_together_are_one_commit_and_are_answered_after_it(tmp_path):
    store = _Counted(str(tmp_path / "t.sqlite"))
    for number in range(10):
        store.add(Proposal((number,)), str(number), number)
    held, several = threading.Event(), 8
    with TableServer(store, tmp_path, port=0) as server, ThreadPoolExecutor(several) as pool:
        clients = [_client(server, tmp_path) for _ in range(several)]

        def hold():
            with store._lock:
                held.set()
                time.sleep(0.2)

        def ask(number):
            try:
                return clients[number].claim(f"w{number}").id
            except StoreError as error:
                return str(error)

        for fails in (True, False):
            store.fails, store.groups = fails, 0
            held.clear()
            holding = threading.Thread(target=hold)
            holding.start()
            held.wait()
            answers = list(pool.map(ask, range(several)))
            holding.join()
            if fails:
                failed = answers.count("the disk is full")
                assert failed > 1, "those that came while the first was played"
                assert sum(trial.status == "running" for trial in store.unfinished()) == several - failed
            else:
                assert sorted(answers) == list(range(1, several + 1))
            assert 1 <= store.groups < several, "and not one for each"
        for own in clients:
            own.close()
    store.close()


def test_a_row_that_is_added_here_is_lent_without_waiting_for_the_next_look(tmp_path, monkeypatch):
    monkeypatch.setattr(playing, "TICK", 3600.0)
    store = MemoryStore()
    with TableServer(store, tmp_path, port=0) as server, ThreadPoolExecutor(2) as pool:
        workers = [_client(server, tmp_path, wait=30.0) for _ in range(2)]
        claims = [pool.submit(worker.claim, f"w{number}") for number, worker in enumerate(workers)]
        while len(server.present()) < 2 or not server._playing.has_waiting_claims:
            time.sleep(0.01)
        for _ in claims:
            store.add(PROPOSAL, "key", 1)
        server.look_for_rows()
        assert sorted(claim.result(10).id for claim in claims) == [1, 2]
        server.look_for_rows()  # for nobody
        for worker in workers:
            worker.close()


def test_a_table_that_is_served_no_more_is_not_waited_at_in_silence(tmp_path):
    with TableServer(MemoryStore(), tmp_path, port=0) as server:
        server.look_for_rows()
    with pytest.raises(StoreError, match="is served no more; give the same command again"):
        server.look_for_rows()


def test_playing_knows_how_many_clients_it_remembers(monkeypatch):
    monkeypatch.setattr(playing, "MOST_CLIENTS", 3)
    store = MemoryStore()
    table = playing.Playing(playing.Requests(store), store, {}, print, threading.Event())
    for number in range(20):
        table.client(playing.Caller(str(number)))
    assert len(table._clients) <= 4
    table.end()


@pytest.mark.parametrize(("fault", "told"), [(StoreError("it is full"), b"it is full"), (KeyError(), b"KeyError; see")])
def test_a_commit_that_fails_whatever_the_reason_is_told_to_all_whose_requests_it_had(fault, told):
    class Failing(MemoryStore):
        @contextmanager
        def together(self):
            yield
            raise fault

    async def ask():
        store, said = Failing(), []
        asked = playing.Playing(requests.Requests(store), store, {}, said.append, threading.Event())
        clients = [asked.client(requests.Caller(name)) for name in "ab"]
        answers = asyncio.gather(*(asked.answer(each, 1, "tally", []) for each in clients))
        return await asyncio.wait_for(answers, 5.0), said

    answers, said = asyncio.run(ask())
    assert all(told in answer for answer in answers) and len(said) == 2 * (type(fault) is KeyError)
