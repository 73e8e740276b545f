"""docs/clusters.md: its commands are played with hosts that are folders, and its sentences are those of the program."""

import ast
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import netwright
from netwright.core import run_file
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.stores.sqlite import SqliteStore
from tests.verified import VERIFIED

PAGE = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text(encoding="utf-8")
SOURCE = Path(netwright.__file__).parent
TOYS = "netwright.testing.toys"
SPEAKERS = ("stores/*.py", "executors/*.py", "cli/*worker.py", "core/extras.py")
PATIENCE = 300.0  # seconds
# what stands in for programs of the hosts: a host is a folder, which is the home of whoever comes there
PROGRAMS = {
    "ssh": """
while [ "${1#-}" != "$1" ]; do
  case "$1" in -f) behind=1 ;; -R) shift ;; esac
  shift
done
export HOME="$HOSTS/$1"
mkdir -p "$HOME" && cd "$HOME" || exit 1
if [ -n "$behind" ]; then sh -c "$2" </dev/null & else exec sh -c "$2"; fi
""",
    "scp": """cp -p "$2" "$HOSTS/$(echo "$3" | tr : /)" """,
    "netwright": """exec "$PYTHON" -m netwright "$@" """,
}


def part(title):
    """The page's part of this title, up to the next one of its level or above."""
    begin = re.search(rf"^(#+) {re.escape(title)}$", PAGE, re.MULTILINE)
    end = re.search(rf"^#{{1,{len(begin[1])}}} ", PAGE[begin.end() :], re.MULTILINE)
    return PAGE[begin.end() :][: end.start() if end else None]


def blocks(title, language):
    return re.findall(rf"```{language}\n(.*?)```", part(title), re.DOTALL)


def said():
    """All text that the program may say, with … for what it puts in."""
    for path in (path for pattern in SPEAKERS for path in SOURCE.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def everything_said():
    return "\n".join(said())


def sentences():
    return re.findall(r"^\| `(.*?)` \|", part("When it does not work"), re.MULTILINE)


def test_sentences_are_those_of_the_program(everything_said):
    assert len(sentences()) > 12
    system = ("Address already in use", "Cannot assign requested address")  # what the system says in its own words
    pieces = [piece.strip() for each in sentences() for piece in re.split(r"…|; |: |\(|\)| needs the package ", each)]
    unknown = {piece for piece in pieces if len(piece) > 3 and piece not in everything_said and piece not in system}
    assert not unknown, "nobody says this"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a recipe and with what stands in for other hosts; a free port in place of the page's."""
    run = RunFile(
        Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference(f"{TOYS}:ToyEvaluator", {"seconds": 0.2}),
        strategy=Reference("random"),
        limits=run_file.Limits(trials=30),
    )
    (tmp_path / "recipe.toml").write_text(run_file.to_toml(run))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOSTS", str(tmp_path / "hosts"))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCE.parent), *sys.path[1:]]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def serving(command, here, port):
    """The search of a block, once it serves its table."""
    assert command.startswith("netwright serve recipe.toml")
    search = subprocess.Popen(["sh", "-c", f"exec {command.replace('7711', port)}"], cwd=here, stdin=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while not (here / "runs/shared/served.json").exists():
        assert search.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    return search


def finished(here):
    """The rows that are done, once all are."""
    store = SqliteStore(str(here / "runs/shared/trials.sqlite"), mode="read")
    rows = store.finished()
    store.close()
    assert len(rows) == 30 and all(row.status == "done" for row in rows)
    return rows


@VERIFIED
@pytest.mark.timeout(2 * PATIENCE)
def test_hosts_are_joined_by_ssh(here):
    port = free_port()
    [serve, loop] = blocks("SSH", "sh")
    search = serving(serve.strip(), here, port)
    subprocess.run(["sh", "-c", loop.replace("7711", port)], cwd=here, check=True, timeout=PATIENCE)
    assert search.wait(PATIENCE) == 0
    finished(here)
    for host in ("gpu1", "gpu2", "gpu3"):
        folder = here / "hosts" / host / "netwright-worker"
        until = time.monotonic() + PATIENCE
        while "the search has ended" not in (log := (folder / "worker.log").read_text()):
            assert time.monotonic() < until, log
            time.sleep(0.1)
        assert folder.stat().st_mode & 0o777 == 0o700 and (folder / "served.json").stat().st_mode & 0o777 == 0o600


def test_the_manifest_holds_together():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load(blocks("Kubernetes", "yaml")[0])
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert {each["name"] for each in pod["volumes"]} == {each["name"] for each in container["volumeMounts"]}
    assert job["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"] == container["name"]


@VERIFIED
@pytest.mark.timeout(2 * PATIENCE)
def test_a_pod_of_the_manifest_works(here):
    """Its words, as a process of this host that sees nothing but the token."""
    [serve, *_] = blocks("Kubernetes", "sh")
    [manifest] = blocks("Kubernetes", "yaml")
    lists = [re.search(rf"^ +{name}: \[(.*)\]$", manifest, re.MULTILINE)[1] for name in ("command", "args")]
    words = [word.strip(' "') for each in lists for word in each.split(",")]
    data = words.index("--task.path")
    del words[data : data + 2]  # the toy has none
    port = free_port()
    search = serving(serve.splitlines()[0].replace("0.0.0.0", "127.0.0.1"), here, port)
    (here / "secrets").mkdir()
    (here / "secrets/served.json").write_bytes((here / "runs/shared/served.json").read_bytes())
    text = (
        " ".join(words)
        .replace("search.example.org:7711", f"127.0.0.1:{port}")
        .replace("/secrets", str(here / "secrets"))
    )
    worker = subprocess.run(text.split(), cwd=here / "secrets", timeout=PATIENCE)
    assert worker.returncode == 0, "the job is complete"
    assert search.wait(PATIENCE) == 0
    finished(here)


@VERIFIED
@pytest.mark.timeout(2 * PATIENCE)
def test_submitit_submits_workers(here):
    pytest.importorskip("submitit")
    port = free_port()
    [script] = blocks("submitit", "py")
    search = serving(f"netwright serve recipe.toml --out runs/shared --port {port} --workers 2", here, port)
    local = script.replace('folder="runs/shared/logs/submitit"', 'folder="runs/shared/logs/submitit", cluster="local"')
    local = re.sub(r"range\(\d+\)", "range(2)", local).replace(', slurm_partition="gpu", gpus_per_node=1', "")
    assert local.count("local") == 1 and "range(2)" in local
    waits = "\nimport time\nwhile not all(job.done() for job in jobs):\n    time.sleep(0.2)\n"
    subprocess.run([sys.executable, "-c", local + waits], cwd=here, check=True, timeout=PATIENCE)
    assert search.wait(PATIENCE) == 0
    assert len({row.id for row in finished(here)}) == 30
