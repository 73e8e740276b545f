import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import reading
from netwright.core.errors import NetwrightError
from netwright.core.reading import BadText


@given(st.text(st.sampled_from("ab.=[]{}\"'\n #01x_-+:TZ,\\")) | st.text())
def test_any_text_is_read_or_refused(text):
    said = ""
    for read in (reading.toml, reading.json_value):
        try:
            read(text)
        except BadText as error:
            said += str(error)
    assert len(said) < 600


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a=" + "[" * 5000, "more than 50 lists or tables"),
        ("a=" + "{b=" * 5000, "more than 50 lists or tables"),
        ("a=" + "[" * 60 + "]" * 60, "more than 50 lists or tables"),
        ("a" + ".a" * 60 + "=1", "a key of more than 50 parts"),
        ("'a'" + ' . "a"' * 200_000 + "=1", "longer than"),
        ("[" + "a." * 400_000 + "a]", "a key of more than 50 parts"),
        ("a=" + "9" * 5000, "a number or a date out of range"),
        ("a=" + "9" * 30, "beyond 64 bits"),
        ("a=2020-13-45", "."),
        ("a=\x00", "is not valid TOML"),
        ("#" * 2_000_000, "longer than 1,000,000"),
    ],
)
def test_toml_out_of_bounds_is_refused(text, reason):
    with pytest.raises(BadText, match=reason):
        reading.toml(text)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 60 + "]" * 60, "9" * 5000, "[1" + "0" * 30 + "]", "NaN", "{", b"\xff"]
)
def test_json_out_of_bounds_is_refused(text):
    with pytest.raises(BadText):
        reading.json_value(text)


@pytest.mark.parametrize(
    "text", ["x" * 900_000, "a-" * 400_000, "a." * 40, "' \"" * 300_000, "." * 900_000, '"' * 900_000]
)
def test_long_text_takes_no_long_time(text):
    assert reading._LONG_KEY.search(text) is None  # quadratic time would be an hour
    assert reading.toml(f"a = {text[:900_000]!r}" if "'" not in text else "a = 1")


def test_only_ordinary_files_of_text_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "wide").write_bytes("a=1".encode("utf-16"))
    (tmp_path / "long").write_bytes(b"#" * 1_000_001)
    for name in ("fifo", "loop", "latin", "wide", "long", "none", ".", "x" * 5000, "a\x00b", "/dev/zero", "/dev/null"):
        with pytest.raises(BadText):
            reading.file(tmp_path / name)
    (tmp_path / "link").symlink_to("fine")
    (tmp_path / "fine").write_bytes(b"\xef\xbb\xbf" + "é".encode())
    assert reading.file(tmp_path / "link") == "é"


class Faulty:
    def __repr__(self):
        raise RuntimeError


def test_any_value_is_shown_in_a_few_words():
    digits = 10**5000
    for value in (digits, -digits, "x" * 10**6, b"y" * 10**6, [[1] * 10**4], Faulty(), {"a": digits}, [digits]):
        assert 0 < len(reading.shown(value)) < 150


def test_a_refusal_is_of_the_users_making():
    assert issubclass(BadText, NetwrightError)
