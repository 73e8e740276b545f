import json
import re
from dataclasses import replace

from netwright.core.finals import BEST, Final, Repetition
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.vocabulary import END
from netwright.data.spoken import FILE, Shown
from netwright.report import examined, markup
from netwright.report.examples import text
from netwright.report.examples.text import TextExamples
from netwright.report.files import smallest_text, svg

SHOWN = Shown(
    unit="words",
    tokens=3516,
    worst=(("<b>$x$", 5, 9.0), ("y" * 200, 6, 8.64), ("日本", 7, 40.0)),
    piece=(("the", "the", 0.1), ("<unk>", "a", 4.0), (END, ",", 100.0), ("z" * 200, END, -1.0)),
    sample="the cat\nsat <on>",
)
TESTED = Objective("test_perplexity", -1)
FINAL = Final(
    BEST, 7, Reference("rnn"), (0,), "4 epochs", TESTED, 9, 122.5, None, 1, repetitions=(Repetition(1, 9, 122.5),)
)


def section(shown=SHOWN, final=FINAL):
    found = TextExamples(shown)
    drawn = {name: markup.Html("FIGURE") for name in found.figures()}
    return found.section(final, " of a run", drawn)


def test_what_was_kept_is_shown():
    html = section()
    assert "What it expects of the test text of a run" in html and "FIGURE" in html
    assert "best of the search, 4 epochs: test perplexity 122.50 on 3,516 words." in html
    words = re.sub(r"<[^>]+>", " ", html)
    assert "&lt;b&gt;$x$" in words and "8,103" in words and "∞" in words
    assert "1 of 4 words are those that it held likeliest" in words
    assert "the cat\nsat &lt;on&gt;" in html


def test_a_guess_stands_over_the_word_that_came():
    html = section()
    assert 'the <ruby><mark style="--weight: 0.30">&lt;unk&gt;</mark><rt>a</rt></ruby>' in html
    assert '<mark style="--weight: 0.60">¶</mark><rt>,</rt>' in html
    assert f'<mark style="--weight: 0.00">{"z" * 23}…</mark><rt>¶</rt>' in html, "no token is wider than a phone"


def test_characters_stand_without_gaps():
    shown = replace(SHOWN, unit="characters", piece=(("a", "a", 0.1), (" ", "b", 0.1), ("\n", " ", 0.1)))
    assert "a<ruby><mark" in section(shown) and ">␣</mark><rt>b</rt></ruby><ruby>" in section(shown)


def test_what_is_missing_is_left_out():
    html = section(Shown("words", 0, (), (), ""), replace(FINAL, objective=TESTED.moved_to("valid")))
    assert "validation text" in html
    assert not any(word in html for word in ("FIGURE", "<table", "A piece of the text", "A text of its own"))


def test_the_figure_is_narrow_and_can_be_read():
    figure = text.bars(SHOWN)
    assert svg(figure, "words").startswith("<?xml")
    assert figure.get_size_inches()[0] * 96 < 430
    assert smallest_text(figure) >= 9.5
    longest = max(label.get_window_extent().width for label in figure.axes[0].get_yticklabels())
    assert longest / figure.dpi < 1.5


def test_it_is_read_from_the_folder_of_a_training(tmp_path):
    assert text.read(tmp_path) is None
    facts = {"unit": "words", "tokens": 3, "worst": [["a", 3, 1.5]], "piece": [["a", "b", 0.5]], "sample": ""}
    (tmp_path / FILE).write_text(json.dumps(facts))
    found = examined.examples_of(replace(FINAL, folder=tmp_path))
    assert isinstance(found, TextExamples) and found.count == 3
    assert "words" in examined.captions()
