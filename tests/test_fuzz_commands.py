"""Malformed input to the command itself, each in a process of its own, which has bounds that the system enforces."""

import os
import resource
import subprocess
import sys

import pytest
from hypothesis import strategies as st

from tests import fuzzing
from tests.fuzz import data, left, texts
from tests.fuzzing import Target, changed

PART = 20  # inputs that one test gives
TINY = [
    "--space=nats(channels=2)",
    "--strategy=random",
    "--executor=inline",
    "--evaluator.steps=1",
    "--evaluator.batch=4",
    "--trials=1",
]


def command(folder, *words):
    """Run netwright in a folder. Raises NetwrightError where it refuses, AssertionError for any other end."""

    def bound():
        seconds = 4 * fuzzing.CPU_SECONDS  # imports take their part
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (fuzzing.BYTES, fuzzing.BYTES))

    done = subprocess.run(
        [sys.executable, "-m", "netwright", *(word.replace("\0", "") for word in words)],  # no system takes NUL
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},  # where the traceback of a fault is written
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=fuzzing.WALL_SECONDS,
        preexec_fn=bound,
    )
    fuzzing.ended(done.returncode, done.stderr.decode(errors="replace"))


WORDS = st.one_of(
    st.sampled_from(
        (
            *("search", "status", "report", "show", "train", "export", "predict", "bench", "import", "list"),
            *("worker", "--help", "--json"),
        )
    ),
    st.sampled_from(
        (
            *("--out", "--trials", "--workers", "--space", "--genes", "--io", "--table", "--seed", "--task.path"),
            *("--space.channels",),
        )
    ),
    st.sampled_from(
        (
            *("0", "-1", "9" * 5000, "nan", "é", "\udcff", "run", "/dev/null", "/dev/zero", ".", "[[[", "nats"),
            *("zoo:nasnet_a", "zoo:", ""),
        )
    ),
    st.text(st.characters(exclude_characters="\0"), max_size=8),
)


def take_words(words, folder):
    command(folder, *words)


def take_run_file(text, folder):
    (folder / "run.toml").write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    command(
        folder, "search", "run.toml", "--out", "run", "--trials", "1", "--executor", "inline", "--evaluator.steps", "1"
    )


def take_table(rows, folder):
    (folder / "t.csv").write_bytes(rows)
    command(
        folder,
        "bench",
        "--table",
        "t.csv",
        "--genes",
        "cell,width",
        "--signal",
        "val",
        "--trials",
        "2",
        "--seeds",
        "1",
        "--strategies",
        "random",
        "--out",
        "b",
    )


def take_arrays(archive, folder):
    (folder / "a.npz").write_bytes(archive)
    command(folder, "search", *TINY, "--task=arrays(path='a.npz',cache='cache')", "--out=run")


def take_folder(files, folder):
    for number, picture in enumerate(files):
        place = folder / "photos" / ("a", "b")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(picture)
    command(folder, "search", *TINY, "--task=image_folder(path='photos',size=8,cache='cache')", "--out=run")


def take_stored(pair, folder):
    words, cut = pair
    (folder / "run").mkdir()
    for name, content in left.searched()[0].items():
        (folder / "run" / name).write_bytes(content)
    path = folder / "run" / "trials.sqlite"
    place = int.from_bytes(cut[:4], "little") % path.stat().st_size
    old = bytearray(path.read_bytes())
    old[place : place + len(cut) - 4] = cut[4:]
    path.write_bytes(old)
    command(folder, *words)


def take_show(pair, folder):
    name, text = pair
    command(folder, "show", "--space", name, "--genes", text)


LOOKS = [
    ["status", "run"],
    ["report", "run"],
    ["show", "run", "--io", "1x8x8:2"],
    ["search", "--out", "run", "--trials", "7"],
    ["status", "run", "--json"],
]
TARGETS = (
    Target("command: words", 300, st.lists(WORDS, max_size=5), take_words),
    Target("command: run files", 200, texts.RUN_FILES, take_run_file),
    Target("command: tables", 120, data.CSV, take_table),
    Target("command: arrays", 100, data.archive_bytes(), take_arrays),
    Target(
        "command: photos",
        80,
        st.lists(st.deferred(lambda: changed(st.sampled_from(data.image_files()))), min_size=8, max_size=8),
        take_folder,
    ),
    Target(
        "command: run folders", 120, st.tuples(st.sampled_from(LOOKS), st.binary(min_size=5, max_size=12)), take_stored
    ),
    Target("command: genotypes", 80, texts.genotype_texts(), take_show),
)
ANY = Target(
    "command",
    1000,
    st.one_of([st.tuples(st.just(target), target.inputs) for target in TARGETS]),
    lambda pair, folder: pair[0].take(pair[1], folder),
)
FEW = 20 * len(TARGETS)  # fewer inputs are drawn from all kinds together
PARTS = fuzzing.parts(TARGETS if fuzzing.COMMANDS >= FEW else (ANY,), fuzzing.COMMANDS, PART)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("target", "count"), PARTS, ids=[f"{n}-{each.name}" for n, (each, _) in enumerate(PARTS)])
def test_malformed_input_to_the_command_is_taken_or_refused_in_a_sentence(target, count, tmp_path, record_property):
    tally = fuzzing.play(target, tmp_path, count)
    record_property("fuzzed", (target.name, tally.inputs, tally.refused, tally.slowest))
