import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import run_file
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.latency import LatencySettings
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.core.shapes import Classes, Image, Numbers, Sequence, Tokens, Vector

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.from_regex(r"[a-z_]{1,6}", fullmatch=True).filter(lambda key: key != "ref")
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
OPTIONS = st.dictionaries(KEYS, VALUES, max_size=3)
REFERENCES = st.builds(Reference, st.from_regex(r"[a-z]{1,6}(\.[a-z]{1,3}:[A-Z])?", fullmatch=True), OPTIONS)
SOME = st.none() | st.integers(1, 10**9)
RUNS = st.builds(
    RunFile,
    space=REFERENCES,
    strategy=REFERENCES,
    task=REFERENCES,
    evaluator=REFERENCES,
    executor=REFERENCES,
    seed=st.integers(0, 2**63 - 1),
    objectives=st.lists(st.from_regex("-?[a-z_]{1,9}", fullmatch=True), min_size=1, max_size=3).map(tuple),
    constraints=st.lists(WORDS, max_size=2).map(tuple),
    reuse=st.sampled_from(["genotype", "network", False]),
    threads_per_trial=st.none() | st.integers(1, run_file.MOST_THREADS),
    keep=st.sampled_from(["none", "all"]),
    limits=st.builds(Limits, trials=SOME, hours=st.none() | st.floats(0, exclude_min=True, allow_nan=False)),
    latency=st.none() | st.builds(LatencySettings, WORDS, st.integers(1, 99), st.integers(1, 99)),
    final=st.none() | OPTIONS,
)


@given(RUNS)
def test_toml_gives_the_run_back(run):
    assert run_file.from_toml(run_file.to_toml(run)) == run


@given(RUNS)
def test_a_file_gives_the_run_back(tmp_path_factory, run):
    path = tmp_path_factory.getbasetemp() / "run.toml"
    path.write_bytes(run_file.to_toml(run).encode())
    assert run_file.from_tables(run_file.read(path)) == run


def test_a_limit_that_was_switched_off_stays_off():
    run = RunFile(limits=Limits(failures_in_a_row=0))
    assert run_file.from_toml(run_file.to_toml(run)) == run


def test_an_option_that_is_none_can_be_stored():
    run = run_file.from_tables({"evaluator": Reference("training", {"epochs": None, "steps": 5})})
    assert run.evaluator.options == {"steps": 5}
    assert run_file.from_toml(run_file.to_toml(run)) == run


def test_a_bare_true_answers_equal_networks_as_in_earlier_releases():
    stored = run_file.from_toml("reuse = true")
    assert stored.reuse == "network"
    assert run_file.from_toml(run_file.to_toml(stored)) == stored == run_file.from_tables({"reuse": "network"})


def test_an_empty_file_is_a_whole_run():
    assert run_file.from_toml("") == RunFile()
    assert run_file.to_tables(RunFile())["limits"] == {"failures_in_a_row": 5}


@pytest.mark.parametrize(
    "text",
    [
        'strategy = "tournament(initial=10, share=0.1)"',
        'strategy = {ref = "tournament", initial = 10, share = 0.1}',
        'strategy = {ref = "tournament(initial=99, share=0.1)", initial = 10}',
        '[strategy]\nref = "tournament"\ninitial = 10\nshare = 0.1',
    ],
)
def test_references_are_read_in_every_form(text):
    assert run_file.from_toml(text).strategy == Reference("tournament", {"initial": 10, "share": 0.1})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"sede": 1}, "the run file has no setting 'sede'; it takes space, strategy, .*, seed, objectives,"),
        (
            {"limits": {"trails": 1}},
            r"the run file has no setting 'limits\.trails'; it takes trials, hours, failures_in",
        ),
        ({"seed": "x"}, "seed is 'x': should be a valid integer"),
        ({"seed": 1.5}, "seed is 1.5: should be a valid integer"),
        ({"seed": -1}, r"seed must be a whole number from 0 to 2\*\*63 - 1, got -1"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"limits": {"trials": "many"}}, r"limits\.trials is 'many': should be a valid integer"),
        ({"limits": {"trials": 0}}, "trials must be greater than 0, got 0"),
        ({"limits": {"hours": -0.5}}, "hours must be greater than 0, got -0.5"),
        ({"limits": {"hours": math.nan}}, "hours must be greater than 0, got nan"),
        ({"limits": {"failures_in_a_row": -1}}, "failures_in_a_row must be at least 0, got -1"),
        ({"limits": 3}, "limits is 3: should be a table"),
        ({"objectives": "valid_accuracy"}, "objectives is 'valid_accuracy': should be a list"),
        ({"objectives": []}, "objectives must name at least one metric"),
        ({"objectives": ["params", "-"]}, "objectives must name at least one metric"),
        ({"constraints": ["params < 1", 2]}, r"constraints\.1 is 2: should be a valid string"),
        ({"threads_per_trial": 0}, "threads_per_trial must be at least 1, got 0"),
        ({"keep": "some"}, "keep is 'some': should be 'none' or 'all'"),
        ({"reuse": "perhaps"}, "reuse is 'perhaps': should be 'genotype', 'network' or false"),
        ({"final": 3}, "final is 3: should be a table"),
    ],
)
def test_says_which_setting_is_wrong_and_what_it_takes(tables, message):
    with pytest.raises(BadRunFile, match=message):
        run_file.from_tables(tables)


@pytest.mark.parametrize("value", [3, {"channels": 3}, {"ref": 3}, ["hierarchical"], None])
def test_a_plug_in_must_be_named(value):
    with pytest.raises(BadReference, match=r"space is .*: write a name, or a table with ref = \"name\" and options"):
        run_file.from_tables({"space": value})


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadRunFile, match=r"run file .*none\.toml cannot be read: No such file or directory"):
        run_file.read(tmp_path / "none.toml")
    with pytest.raises(BadRunFile, match="cannot be read: Is a directory"):
        run_file.read(tmp_path)


def test_a_file_that_is_no_text_or_no_toml_is_refused(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b'space = "\xff\xfe"')
    with pytest.raises(BadRunFile, match="cannot be read: it is not UTF-8 text"):
        run_file.read(path)
    path.write_text("seed = \nspace = 3")
    with pytest.raises(BadRunFile, match=r"is not valid TOML: Invalid value \(at line 1"):
        run_file.read(path)
    path.write_text("seed = 1\nseed = 2")
    with pytest.raises(BadRunFile, match="is not valid TOML"):
        run_file.read(path)


@pytest.mark.parametrize(
    ("text", "io"),
    [
        ("3x32x24:10", IO(3, 32, 24, 10)),
        ("3x32x24:numbers=4", IO(Image(3, 32, 24), Numbers(4))),
        ("vector=16:numbers=1", IO(Vector(16), Numbers(1))),
        ("vector=16:3", IO(Vector(16), Classes(3))),
        ("sequence=8x100:10", IO(Sequence(8, 100), Classes(10))),
        ("tokens=10000x35:tokens=10000x35", IO(Tokens(10_000, 35), Tokens(10_000, 35))),
    ],
)
def test_what_goes_in_and_comes_out_is_text(text, io):
    assert run_file.read_io(text) == io
    assert run_file.write_io(io) == text
    kinds = [type(shape) for shape in (io.input, io.output)]
    assert [type(shape) for shape in (run_file.read_io(text).input, run_file.read_io(text).output)] == kinds


@pytest.mark.parametrize(
    "text",
    ["", "3x32x32", "32x32:10", "3x32x0:10", "3x32x32:", "vector=3x4:1", "classes=3:1", "3x3x3:vector=1", "tensor=3:1"],
)
def test_what_is_no_input_and_output_is_refused(text):
    with pytest.raises(BadRunFile, match=r"^--io is .*, as in 3x32x32:10, or name .* as in vector=16:numbers=1"):
        run_file.read_io(text)


def test_override_replaces_some_options_of_one_plug_in():
    given = RunFile(space=Reference("hierarchical", {"channels": 5}), strategy=Reference("tournament"))
    run = run_file.override(given, "space", {"levels": 7})
    assert run.space == Reference("hierarchical", {"channels": 5, "levels": 7})
    assert run_file.override(run, "space", {"channels": 6}).space.options == {"channels": 6, "levels": 7}
    assert run.strategy is given.strategy
    assert given.space.options == {"channels": 5}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"space": {"ref": "x", "a": [None]}}, "space.a' holds None, which no run file can; give"),
        ({"space": Reference("x", {"a": {1, 2}})}, "space.a' holds {1, 2}, which no run file can; give"),
        ({"space": Reference("x", {"a": {1: 2}})}, "space.a has the key 1; keys are text"),
        ({"task": {"ref": "x", "path": "\udc80"}}, "with characters that are no Unicode; leave them out"),
        ({"limits": {"trials": 10**30}}, "limits' has a whole number beyond 64 bits"),
        ({"space": Reference("x", {"a": 10**30})}, "space' has a whole number beyond 64 bits"),
        ({"seed": 2**63}, "seed must be a whole number from 0"),
        ({"threads_per_trial": 10**9}, "threads_per_trial must be at most 1024"),
        ({"a\nb" * 10**5: 1}, r"the run file has no setting 'a\\nba.* characters\); it takes space"),
        ({"seed": "x" * 10**6}, r"seed is 'x+'\.\.\. \(1,000,000 characters\)"),
        ({"limits": {"trials": float("nan")}}, "limits.trials"),
    ],
)
def test_what_no_run_file_holds_is_refused(tables, message):
    with pytest.raises(BadRunFile, match=message):
        run_file.from_tables(tables)


@pytest.mark.parametrize("text", ["a=" + "[" * 5000, "a" + ".a" * 100 + "=1", "seed=" + "9" * 5000, "seed = [", "\x00"])
def test_a_stored_text_at_fault_is_refused(text):
    with pytest.raises(BadRunFile, match=r"^the stored run file "):
        run_file.from_toml(text)


@pytest.mark.parametrize("part", run_file.PARTS)
@pytest.mark.parametrize("value", [True, False, 0, 3, 1.5, [], [[]], ["digits"]])
def test_a_part_that_is_no_reference_is_refused_where_options_are_put_over_it(part, value):
    with pytest.raises(BadReference, match=f"{part} is .*: write a name"):
        run_file.from_tables(run_file.merged({part: value}, {part: {"steps": 1}}))


@pytest.mark.parametrize(("asked", "number"), [(3, 3), (0, None), ("3", None), (True, None), ([1], None), (2.0, None)])
def test_the_number_of_workers_is_one_that_an_executor_would_take(asked, number):
    assert RunFile(executor=Reference("processes", {"workers": asked})).workers == number
    assert RunFile().workers is None


def test_a_latency_that_cannot_be_meant_is_refused():
    with pytest.raises(BadRunFile, match=r"no setting 'latency.bathc'; it takes device, batch, threads"):
        run_file.from_tables({"latency": {"bathc": 1}})
    with pytest.raises(BadRunFile, match=r"latency.* must be at least 1, got 0"):
        run_file.from_tables({"latency": {"batch": 0}})
