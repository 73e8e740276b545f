"""What is said of values of another type can be typed as it stands, for every option of every plug-in."""

from __future__ import annotations

import inspect
import re
from typing import Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from netwright.core import described, misfits, reading, refs, run_file
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.kinds import FOLDERS
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile


def _misfit(hint, value):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(hint).validate_python(value)
    return misfits.first(caught.value)


@pytest.mark.parametrize(
    ("hint", "value", "why"),
    [
        (tuple[int, ...], "5,3", "should be a list, as in [5,3] (with quotes around it in a shell)"),
        (tuple[int, ...], "(5, 3)", "should be a list, as in [5,3] (with quotes around it in a shell)"),
        (tuple[int, ...], 5, "should be a list, as in [5] (with quotes around it in a shell)"),
        (list[bool], True, "should be a list, as in [true] (with quotes around it in a shell)"),
        (tuple[str, ...], "a,'b', c d", 'should be a list, as in ["a","b","c d"] (with quotes around it in a shell)'),
        (tuple[int, ...], "1," * 60, "should be a list"),
        (tuple[int, ...], "", "should be a list"),
        (list[int], {}, "should be a list"),
        (tuple[int, int], [1], "should have at least 2 items"),
        (tuple[int, int], [1, 2, 3], "should have at most 2 items, not 3"),
        (dict[str, int], 3, "should be a table"),
        (bool, "maybe", "should be true or false"),
        (bool | None, 7.5, "should be true or false"),
        (Literal["x", False, 3], "y", "should be 'x', false or 3"),
        (Literal["True", True], "y", "should be 'True' or true"),
    ],
    ids=str,
)
def test_what_fits_is_written_as_run_files_have_it(hint, value, why):
    assert _misfit(hint, value).why.startswith(why)


def test_a_suggested_list_is_read_as_what_was_meant():
    text = re.search(r"as in (\[.*\]) \(", _misfit(tuple[str, ...], "a,b\"c,é,'d'").why)[1]
    assert reading.toml(f"value = {text}")["value"] == ["a", 'b"c', "é", "d"]


def test_values_are_written_as_run_files_have_them():
    assert reading.shown({"a": [True, (1, "x")], "b": False}) == "{a = [true, [1, 'x']], b = false}"
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert reading.shown(deep) == "a list"


def _options():
    for kind in FOLDERS:
        for name in refs.available(kind) if kind != "zoo" else ():
            yield kind, name


@pytest.mark.parametrize(("kind", "name"), list(_options()), ids=lambda each: each)
def test_no_option_of_any_plugin_speaks_python(kind, name):
    """Whatever a list, a choice or a truth is given instead, the answer can be typed, and lists show how."""
    plugin = refs.locate(kind, name)
    for option, hint in refs.hints_of(plugin).items():
        if option not in refs.options_of(plugin, without=refs.WIRED):
            continue
        is_list = described.type_text(hint).startswith("list")
        for value in ("5,3", "no such thing"):
            said = _refusal(kind, name, plugin, option, value)
            _check_speech(said)
            assert not is_list or value != "5,3" or "[5,3]" in said


def _refusal(kind, name, plugin, option, value):
    """What is said of one value, the other options not being the question; "": it is taken."""
    others = tuple(each for each in refs.options_of(plugin) if each != option)
    try:
        refs._checked(kind, Reference(name, {option: value}), plugin, others)
    except BadReference as error:
        return str(error)
    return ""


def _check_speech(message):
    """No constant of Python outside what is quoted."""
    bare = re.sub(r"'[^']*'", "", message)
    assert not re.search(r"\b(True|False|None|tuple|Tuple|boolean|dictionary)\b", bare), message


def test_no_setting_of_the_run_file_speaks_python():
    for name in inspect.signature(RunFile).parameters:
        for value in ("no such thing", 1.5, True, {"a": True}, [{}]):
            try:
                run_file.from_tables({name: value})
            except (BadReference, BadRunFile) as error:
                _check_speech(str(error))
