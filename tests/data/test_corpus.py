import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.errors import BadReference
from netwright.core.vocabulary import END, UNKNOWN, numbers_of, spoken, tokens_of
from netwright.data import corpus


def encoded(train, valid="a", test="b", **options):
    parts = {"train": train.split(), "valid": valid.split(), "test": test.split()}
    return corpus.encoded(parts, "my.txt", "blanks", **options)


def decoded(found, split):
    return " ".join(found.vocabulary.tokens[number] for number in found.parts[split])


def test_a_vocabulary_is_that_of_the_training_part_the_most_frequent_first():
    found = encoded("b a a c b a", "a b c")
    assert found.vocabulary.tokens == ("a", "b", "c")
    assert decoded(found, "train") == "b a a c b a" and decoded(found, "valid") == "a b c"


def test_other_words_are_replaced():
    found = encoded("a a b b c", "a d", "b c", least=2)
    assert found.vocabulary.tokens == ("a", "b", UNKNOWN)
    assert decoded(found, "train") == f"a a b b {UNKNOWN}" and decoded(found, "valid") == f"a {UNKNOWN}"
    assert encoded("a a a b b c", most=2).vocabulary.tokens == ("a", UNKNOWN), "it is one of the most"


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"train": "a b", "valid": "x"}, "^the word 'x' in the valid part of my.txt is not in the vocabulary; give a"),
        ({"train": "a b b", "least": 2}, "^the word 'a' in the train part .*; lower task.least or raise task.most, or"),
    ],
)
def test_other_words_are_refused_where_the_rule_says_so(given_, sentence):
    with pytest.raises(BadReference, match=sentence):
        encoded(**given_, unknown="refused")
    encoded("a b", unknown="refused")


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"train": ""}, "^my.txt has no words to train on; give a longer text$"),
        ({"train": "a b", "test": ""}, "^my.txt has no words to test on; give a longer text$"),
        ({"train": "a a"}, "^the training part of my.txt has one word only, 'a'; give another text$"),
        ({"train": "a b", "least": 3}, "^no word of my.txt occurs 3 times; lower task.least$"),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused(given_, sentence):
    with pytest.raises(BadReference, match=sentence):
        encoded(**given_)


def test_each_line_ends():
    assert corpus.whole("a b\n\nc\n", "blanks") == ["a", "b", END, END, "c", END]
    assert corpus.whole("a b\nc", "blanks") == ["a", "b", END, "c", END]


def test_prose_is_words_and_marks_and_paragraphs_end():
    found = corpus.whole("\n\nWell, I don't\nknow…  (Yes!)\n \n\nEnd.\n", "marks", lower=True)
    assert found == ["well", ",", "i", "don't", "know", "…", "(", "yes", "!", ")", END, "end", ".", END]
    assert spoken(found, "marks") == "well, i don't know … (yes!)\nend.\n"


def test_a_prompt_does_not_end():
    assert tokens_of("the old", "blanks", False) == ["the", "old"]
    assert tokens_of("One.\n\n", "marks", False) == ["One", ".", END]


def test_an_empty_prompt_begins_behind_an_end():
    assert numbers_of("", "marks", False, "replaced", ["a", END]) == [1]
    assert numbers_of("", "characters", False, "replaced", ["a", "\n"]) == [1]
    assert numbers_of("", "characters", False, "replaced", ["a", "b"]) == [0]
    with pytest.raises(ValueError, match="the word 'x' is not in the vocabulary; give a text without it"):
        numbers_of("a x", "blanks", False, "refused", ["a", UNKNOWN])


@given(st.text())
def test_characters_are_themselves(text):
    tokens = tokens_of(text, "characters", False)
    assert spoken(tokens, "characters") == text


@given(st.text(), st.sampled_from(["blanks", "marks"]))
def test_a_text_that_was_spoken_is_read_alike(text, reading):
    tokens = tokens_of(text, reading, False)
    assert all(token and not any(map(str.isspace, token)) for token in tokens)


def test_parts_follow_one_another():
    assert corpus.cut("abcdefghij", 0.2, 0.1) == {"train": "abcdefg", "valid": "hi", "test": "j"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("caf\xe9".encode("latin-1"), "is no text in UTF-8: byte 3 is 0xe9; save it in UTF-8$"),
        ("text".encode("utf-16"), "is no text in UTF-8: byte 0 is 0xff; save it in UTF-8$"),
        ("text".encode("utf-32-le"), "holds zero bytes, so it is no text; give a text file in UTF-8$"),
        (b"", "is empty; give a text$"),
        (b"\xef\xbb\xbf \n", "is empty; give a text$"),
    ],
)
def test_what_is_no_text_in_utf_8_is_refused(tmp_path, data, sentence):
    path = tmp_path / "my.txt"
    path.write_bytes(data)
    with pytest.raises(BadReference, match=sentence):
        corpus.read(path)
    with pytest.raises(BadReference, match=r"cannot be read: .*; give a text file"):
        corpus.read(tmp_path / "none.txt")


def test_marks_at_the_beginning_and_windows_lines_are_read(tmp_path):
    (tmp_path / "my.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\nb")
    assert corpus.read(tmp_path / "my.txt") == "a\n\nb"


@pytest.mark.parametrize("reading", ["blanks", "marks"])
def test_one_line_of_a_million_words_is_read(reading):
    tokens = corpus.whole("word another " * 500_000, reading)
    assert len(tokens) == 1_000_001 and tokens[-1] == END
    assert len(corpus.encoded(corpus.cut(tokens, 0.1, 0.1), "my.txt", reading).parts["test"]) == 100_000
