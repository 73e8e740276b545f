import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import refs, run_file
from netwright.core.errors import BadReference
from netwright.core.refs import Reference
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.strategies.tournament import Tournament
from netwright.testing.toys import ToySpace

HERE = __name__
TOY = ToySpace()


@dataclass(frozen=True)
class Wild:
    """Takes a wired space and an option of each sort."""

    space: object
    size: int
    rate: float = 0.5
    mode: Literal["fast", "slow"] = "fast"
    widths: tuple[int, ...] = (1, 2)
    last: bool | Literal["auto"] = "auto"

    def __post_init__(self):
        if self.size < 0:
            raise BadReference(f"strategy.size is {self.size}; it must be at least 0")

    def ask(self, rng, pending):
        return None

    def tell(self, trial, rng):
        pass


def make(length: int = 3, **_ignored) -> ToySpace:
    """A plug-in that is a function."""
    return ToySpace(length)


@pytest.mark.parametrize("name", refs.available("zoo"))
def test_the_space_of_a_published_network_survives_a_run_file(name):
    space = refs.locate("zoo", name).space
    run = run_file.RunFile(space=refs.reference_of("space", space))
    assert run_file.from_toml(run_file.to_toml(run)) == run
    assert refs.load("space", run.space) == space


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("aging", "aging", {}),
        ("  aging ", "aging", {}),
        ("aging()", "aging", {}),
        ("aging(population=10,sample=3)", "aging", {"population": 10, "sample": 3}),
        ("a.b:C", "a.b:C", {}),
        ("a.b:C(x=1)", "a.b:C", {"x": 1}),
        ("a.b(x=1)", "a.b", {"x": 1}),
        ("x(a=-1e-3, b=[1, (2, 'c')])", "x", {"a": -1e-3, "b": [1, [2, "c"]]}),
        ("x(d={'e': None}, f=True)", "x", {"d": {"e": None}, "f": True}),
        ("space(skeleton=imagenet, other=cifar)", "space", {"skeleton": "imagenet", "other": "cifar"}),
        ("x(path='/a b/(c):d=e, f')", "x", {"path": "/a b/(c):d=e, f"}),
        ("a:B(path='(c):d')", "a:B", {"path": "(c):d"}),
        ("x(call=__import__('os'))", "x", {"call": "__import__('os')"}),
    ],
)  # fmt: skip
def test_reads(text, name, options):
    assert refs.parse(text) == Reference(name, options)


def test_tuples_are_the_lists_that_a_run_file_gives_back():
    reference = refs.parse("x(motifs=(6, 6, 1), x={'y': ((1,), [()])})")
    assert reference.options == {"motifs": [6, 6, 1], "x": {"y": [[1], [[]]]}}
    run = run_file.from_tables({"space": "hierarchical(motifs=(6, 1))", "task": f"{HERE}:make(length=(1, 2))"})
    assert run_file.from_toml(run_file.to_toml(run)) == run
    assert refs.load("space", run.space).motifs == (6, 1), "the types of a plug-in's options still hold"


@pytest.mark.parametrize(
    "text",
    [
        *("aging(", "aging(3)", "(x=1)", "()", "aging(**{})", "aging(*[1])", "aging(x=)", "aging(x=1", "aging(x=1))"),
        *("f(x=1)+2", "a.b:C(3)", "a.b:C(x=1))", "a.b:C(", "a b(x=1)", "aging\x00(x=1)", "((((", "x(\n"),
        "x(a=" + "9" * 5000 + ")",
    ],
)
def test_nonsense_is_refused_with_an_example(text):
    with pytest.raises(BadReference, match=r"write a name and its options, as in aging\(population=10\)"):
        refs.parse(text)


def test_the_refusal_quotes_what_was_given():
    with pytest.raises(BadReference, match=r"cannot read 'a\.b:C\(3\)'"):
        refs.parse("a.b:C(3)")


def test_an_option_given_twice_is_refused():
    with pytest.raises(BadReference):
        refs.parse("aging(population=10, population=20)")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.sampled_from(["aging", "a.b:C", "a:B_c"]),
    st.dictionaries(st.sampled_from(["x", "yy", "a_b", "lr"]), VALUES, max_size=3),
)
def test_a_printed_reference_reads_back(name, options):
    reference = Reference(name, options)
    assert refs.parse(str(reference)) == reference


@given(st.text(st.sampled_from("ab.:(),='\"[]{}01 -+*\\\n")) | st.text())
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(refs.parse(text), Reference)
    except BadReference:
        return


def test_loads_a_plug_in_and_wires_objects_by_name():
    wild = refs.load("strategy", Reference(f"{HERE}:Wild", {"size": 4, "widths": [3, 4]}), space=TOY, task=object())
    assert wild == Wild(TOY, 4, widths=(3, 4))
    assert wild.space is TOY


def test_loads_by_short_name_and_by_function():
    assert refs.load("strategy", Reference("tournament", {"initial": 5}), space=TOY) == Tournament(TOY, initial=5)
    assert refs.load("space", Reference("hierarchical", {"channels": 8})) == HierarchicalSpace(channels=8)
    assert refs.load("space", Reference(f"{HERE}:make", {"length": 2})) == ToySpace(2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tournment", {}, r"there is no strategy 'tournment'; did you mean 'tournament'\?; there are aging, "),
        ("xyz", {}, r"there is no strategy 'xyz'; there are .*, and anything importable as package\.module:Name$"),
        ("", {}, "there is no strategy ''"),
        ("nowhere.at_all:X", {}, "strategy 'nowhere.at_all:X': there is no module 'nowhere' on the path"),
        ("netwright.nowhere:X", {}, "there is no module 'netwright.nowhere' on the path"),
        (f"{HERE}:Tame", {}, f"module '{HERE}' has nothing called 'Tame'"),
        (f"{HERE}:Wild", {}, "needs the option 'size'$"),
        (f"{HERE}:Wild", {"size": 1, "rat": 1}, r"has no option 'rat'; did you mean 'rate'\?; its options: size, rate"),
        (f"{HERE}:Wild", {"size": 1, "space": 1}, "has no option 'space'; its options: size, rate, mode, widths"),
        (f"{HERE}:Wild", {"size": "big"}, "strategy.size is 'big': should be a valid integer"),
        (f"{HERE}:Wild", {"size": 1.5}, "strategy.size is 1.5: should be a valid integer"),
        (f"{HERE}:Wild", {"size": 1, "mode": "fats"}, "strategy.mode is 'fats': should be 'fast' or 'slow'"),
        (f"{HERE}:Wild", {"size": 1, "widths": [1, "x"]}, "strategy.widths.1 is 'x': should be a valid integer"),
        (f"{HERE}:Wild", {"size": 1, "widths": ["x", "x"]}, "strategy.widths.0 is 'x': should be a valid integer"),
        (f"{HERE}:Wild", {"size": 1, "last": "x"}, "strategy.last is 'x': should be true or false or .*'auto'"),
        (f"{HERE}:Wild", {"size": -1}, "strategy.size is -1; it must be at least 0"),
        ("random", {"size": 1}, "has no option 'size'; its options: none"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_and_what_there_is(name, options, message):
    with pytest.raises(BadReference, match=message):
        refs.load("strategy", Reference(name, options), space=TOY)


def test_a_plug_in_whose_library_is_not_installed_says_which(tmp_path, monkeypatch):
    (tmp_path / "needy_plugin.py").write_text("import library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadReference, match="needs the package 'library_that_is_not_there'; install it"):
        refs.load("space", Reference("needy_plugin:X"))


@pytest.mark.parametrize("name", [":C", ".x:C", "netwright.core.seeds:ASK"])
def test_a_path_that_is_no_plug_in_is_refused(name):
    with pytest.raises(BadReference):
        refs.load("space", Reference(name))


def test_revise_changes_options_and_leaves_the_rest():
    wild = Wild(TOY, 4, rate=0.1)
    assert refs.revise("strategy", wild, {"size": "7", "widths": [9]}) == Wild(TOY, 7, rate=0.1, widths=(9,))
    assert wild.size == 4
    assert refs.revise("space", HierarchicalSpace(), {"channels": 64}) == HierarchicalSpace(channels=64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chanels": 1}, r"space 'HierarchicalSpace' has no option 'chanels'; did you mean 'channels'\?"),
        ({"channels": "many"}, "space.channels is 'many': should be a valid integer"),
        ({"channels": 0}, "space.channels is 0; it must be at least 1"),
    ],
)
def test_revise_checks_as_load_does(options, message):
    with pytest.raises(BadReference, match=message):
        refs.revise("space", HierarchicalSpace(), options)


def test_available_reads_names_and_first_docstring_lines():
    assert {"flat", "hierarchical"} <= set(refs.available("space"))
    for kind in refs.FOLDERS:
        for name, summary in refs.available(kind).items():
            assert summary.endswith("."), f"{kind} {name} begins with no sentence"
            assert callable(refs.locate(kind, name)) or kind == "zoo"
    assert refs.available("space")["hierarchical"] == sys.modules[HierarchicalSpace.__module__].__doc__.splitlines()[0]


def test_available_imports_nothing():
    code = (
        "import sys; from netwright.core import refs; [refs.available(kind) for kind in refs.FOLDERS]; "
        "print([m for m in sys.modules if m == 'torch' or m.startswith('netwright.') and '.core' not in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_of_lists_parameters_in_order():
    assert list(refs.options_of(Wild, without=("space",))) == ["size", "rate", "mode", "widths", "last"]
    assert list(refs.options_of(make)) == ["length"]


@pytest.mark.parametrize("kind", refs.FOLDERS)
@pytest.mark.parametrize(
    "name",
    [
        *("builtins:int", "builtins:type", "builtins:object", "builtins:print", "builtins:None", "builtins:eval"),
        *("os:system", "os:path", "os:environ", "subprocess:Popen", "subprocess:getoutput", "shutil:rmtree"),
        *("collections:OrderedDict", "typing:Any", "typing:Protocol", "netwright.core.refs:load", "functools:partial"),
        *("netwright.testing.toys:np", "netwright.core.genes:Choice", "netwright.cli.main:main", f"{HERE}:TOY"),
    ],
)
def test_what_is_no_plug_in_is_named_and_not_called(kind, name):
    with pytest.raises(BadReference, match=f"^{kind} '{name}' is "):
        refs.load(kind, Reference(name, {"command": "false", "args": ["false"], "path": "/none", "cmd": "false"}))


TOY_NAMES = {"space": "ToySpace", "task": "ToyTask", "evaluator": "ToyEvaluator"}


@pytest.mark.parametrize("kind", [*refs.FOLDERS])
@pytest.mark.parametrize("other", TOY_NAMES)
def test_a_plug_in_of_one_kind_is_none_of_another(kind, other):
    name = f"netwright.testing.toys:{TOY_NAMES[other]}"
    if kind == other:
        assert refs.locate(kind, name).__name__ == TOY_NAMES[other]
        return
    with pytest.raises(BadReference, match=f"{kind} '{name}' is "):
        refs.locate(kind, name)


def untold(length=3):
    return ToySpace(length)


def lying() -> ToySpace:
    return object()


class Strange(ToySpace):
    def __init__(self, mood: str = "") -> None:
        if mood == "exit":
            sys.exit("left")
        if mood == "deep":
            self.__init__("deep")
        raise {"": KeyError, "stop": StopIteration, "memory": MemoryError}.get(mood, AssertionError)("two\nlines")


class Unreadable(ToySpace):
    def __init__(self, size: "NobodyKnows" = 0) -> None:  # noqa: F821
        pass


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("untold", {}, "is a function that does not say that it returns a space; annotate it, as in `-> SearchSpace`"),
        ("lying", {}, "makes no space: it has no genes, sample"),
        ("Unreadable", {}, "the types of space .* cannot be read: NameError: name 'NobodyKnows' is not defined"),
        *[("Strange", {"mood": mood}, "cannot be made: ") for mood in ("", "exit", "deep", "stop", "memory", "other")],
        ("Wild.ask", {}, "names no module"),
        ("__file__", {}, "an object of the class str"),
    ],
)
def test_a_plug_in_at_fault_is_said_in_one_sentence(name, options, message):
    with pytest.raises(BadReference, match=message) as refused:
        refs.load("space", Reference(f"{HERE}:{name}", options))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "program",
    ["1 / 0", "import sys; sys.exit(3)", "def (", "raise ImportError", "from os import nothing", "x = '\x00'"],
)
def test_a_module_at_fault_is_said_in_one_sentence(tmp_path, monkeypatch, program):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "at_fault.py").write_text(program)
    with pytest.raises(BadReference, match=r"^space 'at_fault:X' ") as refused:
        refs.load("space", Reference("at_fault:X"))
    assert "\n" not in str(refused.value)


NAMES = st.sampled_from([*refs.available("space"), f"{HERE}:Wild", f"{HERE}:make", "netwright.testing.toys:ToySpace"])
ODD = VALUES | st.floats() | st.integers(10**4000, 10**4001) | st.text(st.characters(), max_size=3)


OPTIONS = st.dictionaries(st.sampled_from(["channels", "nodes", "length", "x", "model_x"]), ODD)


@given(NAMES | st.text(max_size=20), OPTIONS)
def test_any_options_are_taken_or_refused(name, options):
    said = ""
    try:
        refs.load("space", Reference(name, options))
    except BadReference as error:
        said = str(error)
    assert len(said) < 2000


@pytest.mark.parametrize(
    "text", ["x(a=" + "[" * 90_000, "x(a=" + "-" * 90_000 + "1)", "x(a={[]: 1})", "x(a=" + "9" * 30 + ")"]
)
def test_deep_and_odd_references_are_refused(text):
    with pytest.raises(BadReference):
        refs.parse(text)


def test_threads_load_side_by_side():
    def load(number):
        space = refs.load("space", refs.parse(f"hierarchical(channels={number + 1}, motifs=({number % 3 + 1}, 1))"))
        assert refs.available("task")
        return space.channels

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(load, range(400))) == list(range(1, 401))
