"""Streams of tokens in rows: what batches hold, how long they are, and that figures do not depend on their length."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.protocols import ContinuesText, StreamsBatches
from netwright.core.shapes import IO, Tokens
from netwright.core.vocabulary import Vocabulary
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.testing.tasks import check_task
from netwright.training import loop
from tests.carries import VOCABULARY, Space


def task(layout=RowLayout(), **lengths):
    """Of random tokens, some far more frequent than others."""
    sizes = {"train": 600, "valid": 200, "test": 121, **lengths}
    rng = np.random.default_rng(0)
    parts = {split: rng.choice(VOCABULARY, size, p=[0.5, 0.3, 0.1, 0.06, 0.04]) for split, size in sizes.items()}
    return LanguageModeling(lambda: Corpus(Vocabulary(tuple("abcde"), "characters"), parts), layout)


def network():
    return Space().build((0,), None, seeds.rng_for(0, seeds.BUILD))


@pytest.mark.parametrize("layout", [RowLayout(), RowLayout(7, varied=True), RowLayout(5, valid_rows=3, test_rows=4)])
def test_it_keeps_every_contract(layout):
    found = task(layout)
    check_task(found)
    assert isinstance(found, StreamsBatches) and isinstance(found, ContinuesText)
    assert found.io == IO(Tokens(5, layout.steps), Tokens(5, layout.steps))


def test_rows_lie_one_behind_the_other_and_the_rest_is_left_out():
    found = task(RowLayout(4), train=28)
    stream = found.corpus.parts["train"]
    batches = list(found.batches("train", 3, seeds.rng_for(0, seeds.TRAIN)))
    assert [inputs.shape for inputs, _ in batches] == [(3, 4), (3, 4), (3, 1)]
    for row in range(3):
        assert torch.cat([inputs[row] for inputs, _ in batches]).tolist() == stream[9 * row : 9 * row + 9].tolist()
        assert (
            torch.cat([targets[row] for _, targets in batches]).tolist() == stream[9 * row + 1 : 9 * row + 10].tolist()
        )


def test_random_lengths_are_as_published_and_counted():
    found = task(RowLayout(35, varied=True), train=200_001, valid=2000)
    lengths = np.array(found.lengths("train", 2, seeds.rng_for(0, seeds.TRAIN)))
    assert lengths.sum() == 100_000
    assert 0.02 < (lengths < 20).mean() < 0.05, "1 of 20 is around 17.5, and of these 2 of 3 are below"
    assert np.median(lengths) == pytest.approx(35, abs=1) and lengths[lengths > 25].std() == pytest.approx(5, abs=0.5)
    assert lengths[:-1].min() >= 5 and lengths.max() <= 55
    assert found.lengths("valid", 2, None)[0] == 35, "what is measured has no random lengths"
    assert len(lengths) != len(found.lengths("train", 2, seeds.rng_for(1, seeds.TRAIN)))


def test_perplexity_is_that_of_a_mean_over_all_tokens():
    found = task(RowLayout(7))
    metrics = loop.measure(network(), found, "test")
    assert list(metrics) == ["perplexity", "loss"]
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
    stream = torch.from_numpy(found.corpus.parts["test"])[None]
    assert metrics["loss"] == pytest.approx(found.loss(network()(stream[:, :-1]), stream[:, 1:]).item(), rel=1e-6)


def test_row_by_row_with_carried_state_it_measures_what_it_does_in_batches():
    """With the same boundaries between rows, whatever the steps of a batch."""
    whole = task(RowLayout(7, test_rows=4))
    stream = whole.corpus.parts["test"]
    in_batches = loop.measure(network(), whole, "test")["loss"]
    rows = []
    for row in range(4):
        parts = {**whole.corpus.parts, "test": stream[30 * row : 30 * row + 31]}
        alone = LanguageModeling(lambda parts=parts: replace(whole.corpus, parts=parts), RowLayout(11, test_rows=1))
        rows.append(loop.measure(network(), alone, "test")["loss"])
    assert sum(rows) / 4 == pytest.approx(in_batches, rel=1e-6)
    assert len({round(loss, 4) for loss in rows}) == 4
    in_one = loop.measure(network(), task(RowLayout(7, test_rows=1)), "test")["loss"]
    assert in_one != pytest.approx(in_batches, rel=1e-6), "boundaries make a difference"


def test_what_frequencies_alone_give():
    found = task()
    perplexity, loss = found.baselines("test")
    counts = np.bincount(found.corpus.parts["train"], minlength=5) + 1
    wanted = -np.mean([math.log(counts[token] / 605) for token in found.corpus.parts["test"][1:]])
    assert loss.value == pytest.approx(wanted) and perplexity.value == pytest.approx(math.exp(wanted))
    assert "the frequencies of characters alone give" in perplexity.words


def test_too_short_a_text_is_refused():
    found = task(train=8, valid=3)
    with pytest.raises(
        BadReference, match=r"^the train part has 8 characters, too few for 8 rows; give a longer text or"
    ):
        found.lengths("train", 8, seeds.rng_for(0, seeds.TRAIN))
    with pytest.raises(BadReference, match=r"has 3 characters, too few for 10 rows; .* task.valid_rows$"):
        list(found.prepare())
    with pytest.raises(BadReference, match=r"^task.steps is 0; it must be at least 1$"):
        RowLayout(steps=0)


def test_another_text_or_vocabulary_is_another_fingerprint():
    found = task()
    assert found.fingerprint() == task(RowLayout(7)).fingerprint()
    assert found.fingerprint() != task(test=120).fingerprint()
    other = replace(found.corpus, vocabulary=Vocabulary(tuple("edcba"), "characters"))
    assert other.digest() != found.fingerprint()
