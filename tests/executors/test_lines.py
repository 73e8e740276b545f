"""Nothing that a trial says or writes can be taken for another message."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.executors import lines
from netwright.executors.post import DOWN, UP

SOME = settings(max_examples=40, deadline=None)


def cut(data, places):
    """The pieces of some bytes, as a pipe might give them."""
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def read(pieces, words=UP):
    reader = lines.Reader(words)
    return [message for piece in pieces for message in reader.take(piece)]


@SOME
@given(st.lists(st.text()), st.lists(st.integers(0, 10**6)))
def test_messages_come_back_one_by_one_whatever_stands_in_them(texts, places):
    data = b"".join(lines.encode("report", text=text) for text in texts)
    assert all(len(line) < lines.LONGEST for line in data.split(b"\n"))
    found = read(cut(data, places))
    assert [message["say"] for message in found] == ["report"] * len(texts)
    assert all(len(message["text"]) <= lines.TEXT and message["text"].isprintable() for message in found)


@SOME
@given(st.binary(max_size=200).filter(lambda data: b"\n" not in data), st.lists(st.integers(0, 10**6)))
def test_what_is_no_message_is_dropped_and_the_next_one_read(noise, places):
    data = noise + b"\n" + lines.encode("ready")
    assert read(cut(data, places))[-1] == {"say": "ready"}


@SOME
@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_that_says_nothing_known_is_dropped(value):
    assert read([json.dumps(value).encode() + b"\n"]) == []
    assert read([json.dumps({"say": value}).encode() + b"\n"]) == []
    for name in ("trial", "log"):
        whole = {"say": "start", "trial": 1, "log": 2}
        if type(value) is not int:
            assert read([json.dumps({**whole, name: value}).encode() + b"\n"]) == []


def test_lines_without_an_end_take_no_memory():
    reader = lines.Reader(DOWN)
    for _ in range(1000):
        assert list(reader.take(b"x" * 65536)) == []
        assert len(reader._rest) <= lines.LONGEST
    assert list(reader.take(b'{"say": "drain"}\n')) == [], "the rest of that line"
    assert list(reader.take(b'{"say": "drain"}\n' * 2)) == [{"say": "drain"}] * 2


def test_numbers_of_thousands_of_digits_and_deep_lists_are_dropped():
    assert read([b'{"say": "start", "trial": ' + b"9" * 4000 + b', "log": 0}\n', b"[" * 4000 + b"\n"]) == []
