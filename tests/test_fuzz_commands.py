"""Malformed input to the command itself, each in a process of its own, which has bounds that the system enforces."""

import resource
import shutil
import subprocess
import sys

import pytest
from hypothesis import strategies as st

from netwright.core.errors import NetwrightError
from tests import fuzzing, test_fuzz
from tests.fuzzing import Target, changed, play

TOYS = "netwright.testing.toys"
TOY = [
    f"--space={TOYS}:ToySpace",
    f"--task={TOYS}:ToyTask",
    f"--evaluator={TOYS}:ToyEvaluator",
    "--executor=inline",
    "--strategy=random",
]
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
        resource.setrlimit(
            resource.RLIMIT_CPU, (4 * fuzzing.CPU_SECONDS, 4 * fuzzing.CPU_SECONDS)
        )  # imports take their part
        resource.setrlimit(resource.RLIMIT_DATA, (fuzzing.BYTES, fuzzing.BYTES))

    ended = subprocess.run(
        [sys.executable, "-m", "netwright.cli.main", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=fuzzing.WALL_SECONDS,
        preexec_fn=bound,
    )
    said = ended.stderr.decode(errors="replace")
    assert "Traceback" not in said and ended.returncode in (0, 1, 2), (
        f"{words} ended with {ended.returncode}: {said[-2000:]}"
    )
    if ended.returncode == 2:
        lines = said.strip().splitlines()
        raise NetwrightError(lines[-1] if lines else "help was printed")


def searched(folder):
    """The folder of a finished run of toys."""
    place = folder.parent / "searched"
    if not place.exists():
        command(folder.parent, "search", "--out", "searched", *TOY, "--trials", "6")
    return place


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


def take_table(data, folder):
    (folder / "t.csv").write_bytes(data)
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


def take_arrays(data, folder):
    (folder / "a.npz").write_bytes(data)
    command(folder, "search", *TINY, "--task=arrays(path='a.npz',cache='cache')", "--out=run")


def take_folder(files, folder):
    for number, data in enumerate(files):
        place = folder / "photos" / ("a", "b")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(data)
    command(folder, "search", *TINY, "--task=image_folder(path='photos',size=8,cache='cache')", "--out=run")


def take_stored(pair, folder):
    words, data = pair
    shutil.copytree(searched(folder), folder / "run")
    path = folder / "run" / "trials.sqlite"
    place = int.from_bytes(data[:4], "little") % path.stat().st_size
    old = bytearray(path.read_bytes())
    old[place : place + len(data) - 4] = data[4:]
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
    Target("words", 300, st.lists(WORDS, max_size=5), take_words),
    Target("run files", 200, test_fuzz.RUN_FILES, take_run_file),
    Target("tables", 120, test_fuzz.CSV, take_table),
    Target("arrays", 100, test_fuzz.archive_bytes(), take_arrays),
    Target(
        "photos",
        80,
        st.lists(st.deferred(lambda: changed(st.sampled_from(test_fuzz.image_files()))), min_size=8, max_size=8),
        take_folder,
    ),
    Target("run folders", 120, st.tuples(st.sampled_from(LOOKS), st.binary(min_size=5, max_size=12)), take_stored),
    Target("genotypes", 80, test_fuzz.genotype_texts(), take_show),
)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_malformed_input_to_the_command_is_taken_or_refused_in_a_sentence(target, tmp_path, record_property):
    tally = play(target, tmp_path, fuzzing.COMMANDS)
    record_property("fuzzed", f"command, {target.name}: {tally.inputs:,} inputs, {tally.refused:,} refused")
