import pytest
import torch

from netwright.core import seeds
from netwright.core.vocabulary import END, UNKNOWN, Vocabulary
from netwright.data.continuing import continued, written
from netwright.data.spoken import FILE, TextRecorder, read
from tests.carries import Space


def network():
    return Space().build((0,), None, seeds.rng_for(0, seeds.BUILD))


def test_the_state_is_carried_over_what_is_written():
    """By hand: all tokens so far, every time anew."""
    found = continued(network(), [1, 2], 8, 0, 0)
    for place in range(8):
        assert found[place] == int(network()(torch.tensor([[1, 2, *found[:place]]]))[0, -1].argmax())


def test_tokens_are_drawn_by_their_probabilities():
    shares = torch.tensor([0.5, 0.3, 0.2])

    def known(tokens):
        return shares.log().expand(1, tokens.shape[1], 3)

    counts = torch.bincount(torch.tensor(continued(known, [0], 4000, 1.0, 0)), minlength=3) / 4000
    assert torch.allclose(counts, shares, atol=0.03)
    sharper = torch.bincount(torch.tensor(continued(known, [0], 4000, 0.5, 0)), minlength=3) / 4000
    assert torch.allclose(sharper, shares**2 / (shares**2).sum(), atol=0.03)
    assert set(continued(known, [0], 400, 1.0, 0, never=0)) == {1, 2}
    assert set(continued(known, [0], 40, 1e-300, 0)) == {0}


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"^the network gives no finite numbers; train it again$"):
        continued(lambda tokens: torch.full((1, 1, 3), torch.nan), [0], 1, 1.0, 0)


def test_the_unknown_is_never_written():
    facts = Vocabulary(("a", "b", "c", UNKNOWN, END), "blanks").facts()
    for prompt in ("a zebra", ""):
        text = written(network(), facts, prompt, 200, 5.0, 0)
        assert text.count(UNKNOWN) == (prompt != "") and text.startswith("a <unk>") == (prompt != "")


def test_what_a_pass_shows(tmp_path):
    recorder = TextRecorder(Vocabulary(("a", "b", "c", UNKNOWN, END), "blanks"))
    targets = torch.tensor([[0, 1, 0, 4], [0, 0, 1, 0]])
    logits = torch.zeros(2, 4, 5)
    logits[:, :, 0] = 2.0
    for _ in range(40):
        recorder.add(logits, targets)
    recorder.ask(network())
    (tmp_path / FILE).write_bytes(recorder.files()[FILE])
    shown = read(tmp_path / FILE)
    assert (shown.unit, shown.tokens) == ("words", 320)
    wrong, right = (float(torch.nn.functional.cross_entropy(logits[:1, 0], torch.tensor([n]))) for n in (1, 0))
    assert [(token, times, pytest.approx(loss, abs=1e-4)) for token, times, loss in shown.worst] == [
        ("b", 80, wrong),
        (END, 40, wrong),
        ("a", 200, right),
    ]
    assert len(shown.piece) == 120
    assert [(token, guess) for token, guess, _ in shown.piece[:4]] == [("a", "a"), ("b", "a"), ("a", "a"), (END, "a")]
    assert shown.sample and set(shown.sample.split()) <= {"a", "b", "c"}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"unit": "words", "tokens": 3, "worst": [1], "piece": []}'])
def test_what_is_damaged_shows_nothing(tmp_path, data):
    assert read(tmp_path / FILE) is None
    (tmp_path / FILE).write_bytes(data)
    assert read(tmp_path / FILE) is None
