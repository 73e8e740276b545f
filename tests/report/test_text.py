import warnings

import pytest
from matplotlib.figure import Figure

from netwright.report import text
from netwright.report.text import class_labels, printable, shortened, text_width


def test_characters_without_a_glyph_become_question_marks():
    assert printable("naïve Żółw 猫") == "naïve Żółw ?"
    assert printable("two\nlines\tand\u00a0more") == "two lines and more"
    assert printable("Cafe\u0301") == "Café"  # an accent of its own
    assert printable("\udcff.png") == "?.png"  # a file name that is no Unicode


def test_printable_text_is_drawn_without_a_warning():
    figure = Figure()
    figure.text(0, 0, printable("猫 🐈 हिन्दी عربي $x_"), family=text.FONT, parse_math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
        text_width("大", 7.0)


def test_what_fits_stays_and_what_does_not_is_cut():
    assert shortened("cat", 1.0) == "cat"
    long = "a class of a very long name"
    for width in (0.3, 0.6, 1.2):
        head, tail = shortened(long, width), shortened(long, width, keeps_end=True)
        assert text_width(head) <= width and text_width(tail) <= width
        assert head.endswith("…") and long.startswith(head[:-1])
        assert tail.startswith("…") and long.endswith(tail[1:])
        assert text_width(long[: len(head) + 1] + "…") > width  # no shorter than need be


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("cat", "dog"), ["cat", "dog"]),
        (("cat", "大猫", "", " "), ["cat", "class 1", "class 2", "class 3"]),
        (("same", "same", "other"), ["0 same", "1 same", "other"]),
    ],
)
def test_labels_tell_classes_apart(names, labels):
    assert class_labels(names, 2.0) == labels


def test_names_alike_at_their_beginning_are_numbered():
    labels = class_labels([f"a common long beginning, then {n}" for n in range(12)], 0.8)
    assert len(set(labels)) == 12
    assert labels[11].startswith("11 a ")
    assert all(text_width(label) <= 0.8 for label in labels)
