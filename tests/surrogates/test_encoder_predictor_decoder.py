"""The controller: what it computes, and that it draws from its generator alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import genes, seeds
from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates.decoders import pool
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder, Flavor, TokenChoices

SMALL = Flavor(8, 6, 1, 5, 0.5, 0.0, 2)
MIXED = (Choice("op", ("a", "b", "c")), Integer("width", 3, 900, bins=7), Real("rate", 0.1, 0.5, bins=4))


def controller_of(listed, flavor=SMALL, seed=0):
    return EncoderPredictorDecoder(TokenChoices.of(listed), flavor, torch.Generator().manual_seed(seed))


def sequences_of(listed, count):
    streams = seeds.Streams(0)
    return torch.tensor(
        [genes.to_tokens(listed, genes.sample(listed, streams.rng(seeds.ASK, n))) for n in range(count)]
    )


@st.composite
def listed_genes(draw):
    kinds = draw(st.lists(st.sampled_from(["op", "input", ""]), min_size=1, max_size=3))
    repeats = draw(st.integers(1, 3))
    found = []
    for number, kind in enumerate(kinds * repeats):
        options = tuple(str(n) for n in range(draw(st.integers(1, 4))))
        found.append(
            draw(st.sampled_from([Choice(f"g{number}", options, kind), Integer(f"g{number}", 0, 3), MIXED[2]]))
        )
    return tuple(found)


@given(listed_genes())
@settings(max_examples=30, deadline=None)
def test_whatever_is_decoded_is_a_genotype(listed):
    controller = controller_of(listed)
    with torch.no_grad():
        states = controller.encode(sequences_of(listed, 5))
    for sequence in controller.decode(controller.move(states, 30.0)).tolist():
        genes.check(listed, genes.from_tokens(listed, sequence))


def test_the_slope_is_the_gradient_whether_or_not_gradients_are_recorded():
    """By differences of the predicted scores, and where the caller records none."""
    controller = controller_of(MIXED, FLAVORS["pt2"])
    with torch.no_grad():
        states = controller.encode(sequences_of(MIXED, 4))
        slope = controller.slope(states)
        step = 1e-2 * torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
        gained = controller.predict(states + step) - controller.predict(states - step)
    assert torch.equal(slope, controller.slope(states))
    torch.testing.assert_close((slope * 2 * step).sum((1, 2)), gained, rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("name", FLAVORS)
def test_the_whole_sequence_at_once_is_the_sequence_step_by_step(name):
    """`spell` on what `decode` chose must hold each choice for the likeliest."""
    controller = controller_of(MIXED, FLAVORS[name])
    with torch.no_grad():
        states = controller.encode(sequences_of(MIXED, 20))
        decoded = controller.decode(states)
        logits = controller.spell(decoded, states).masked_fill(~controller.tokens.masks, -torch.inf)
    assert torch.equal(logits.argmax(-1), decoded)


def test_logits_are_those_of_the_formula():
    controller = controller_of(MIXED)
    decoder, sequences = controller.decoder, sequences_of(MIXED, 4)
    with torch.no_grad():
        states = controller.encode(sequences)
        start = pool(states).unsqueeze(0)
        outputs, _ = decoder.lstm(decoder.embedding(F.pad(sequences[:, :-1], (1, 0))), (start, start))
        for n in range(4):
            for t in range(3):
                weights = torch.softmax(states[n] @ decoder.query(outputs[n, t]), 0)
                context = (weights[:, None] * states[n]).sum(0)
                expected = decoder.out(torch.tanh(decoder.combine(torch.cat([context, outputs[n, t]]))))
                assert torch.allclose(controller.spell(sequences, states)[n, t], expected, atol=1e-6)


def test_what_is_drawn_comes_from_the_generator():
    state = torch.random.get_rng_state()
    one, same, other = controller_of(MIXED), controller_of(MIXED), controller_of(MIXED, seed=1)
    sequences = sequences_of(MIXED, 30)
    states = one.encode(sequences)
    with_dropout = [one.predict(states, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*with_dropout)
    assert not torch.equal(with_dropout[0], one.predict(states))
    assert torch.equal(state, torch.random.get_rng_state())
    for first, second, third in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_a_move_follows_the_gradient():
    controller = controller_of(MIXED, FLAVORS["pt2"])
    with torch.no_grad():
        states = controller.encode(sequences_of(MIXED, 20))
    moved = controller.move(states, 1.0)
    assert not moved.requires_grad
    assert (controller.predict(moved) > controller.predict(states)).all()


def test_a_group_of_tokens_is_one_step():
    pairs = tuple(Choice(f"{n} {kind}", ("a", "b"), kind) for n in range(4) for kind in ("input", "op"))
    assert controller_of(pairs).encode(torch.ones(2, 8, dtype=torch.int64)).shape == (2, 4, 6)
    assert controller_of(MIXED).encode(torch.ones(2, 3, dtype=torch.int64)).shape == (2, 3, 6)


@pytest.mark.parametrize("name", ["pt1", "pt2", "tf-ws-rnn"])
def test_initial_weights_have_the_spread_of_torch(name):
    controller = controller_of(MIXED, FLAVORS[name])
    decoder, hidden = controller.decoder, FLAVORS[name].hidden
    assert float(controller.encoder.weight_hh_l0.detach().abs().max()) == pytest.approx(hidden**-0.5, rel=1e-2)
    assert float(decoder.out.weight.detach().abs().max()) == pytest.approx(hidden**-0.5, rel=2e-2)
    assert float(decoder.embedding.weight.detach().std()) == pytest.approx(1.0, abs=0.1)
    spread = max(float(parameter.detach().abs().max()) for parameter in controller.predictor.parameters())
    assert spread == pytest.approx(0.04 if name == "tf-ws-rnn" else hidden**-0.5, rel=5e-2)


@pytest.mark.parametrize("name", ["tf", "tf-rnn", "tf-ws"])
def test_initial_weights_have_the_spread_of_tensorflow(name):
    controller = controller_of(MIXED, FLAVORS[name])
    decoder, lstm = controller.decoder, controller.encoder
    for weight in (lstm.weight_hh_l0, decoder.out.weight, decoder.embedding.weight, controller.predictor[0].weight):
        assert float(weight.detach().abs().max()) == pytest.approx(0.1, rel=2e-2)
    assert lstm.bias_hh_l0.any().item() is False and not lstm.bias_hh_l0.requires_grad
    for bias in (lstm.bias_ih_l0, decoder.from_token.bias):
        assert bias.view(4, -1).detach().unique(dim=1).flatten().tolist() == [0, 1, 0, 0], "the forget gate begins open"
    weights = torch.cat([decoder.from_token.weight, decoder.from_memory.weight], 1).detach()
    is_orthogonal = torch.allclose(weights.T @ weights, torch.eye(weights.shape[1]), atol=1e-4)
    assert is_orthogonal == (name != "tf-rnn")


@pytest.mark.parametrize(("name", "is_behind"), [("tf", True), ("tf-ws-rnn", False)])
def test_dropout_of_the_encoder(name, is_behind):
    """Of its outputs, before they are scaled, or of its embeddings; none without a generator."""
    controller, sequences = controller_of(MIXED, FLAVORS[name]), sequences_of(MIXED, 30)
    with torch.no_grad():
        states = controller.encode(sequences)
        dropped = controller.encode(sequences, torch.Generator().manual_seed(0))
    assert torch.allclose(dropped.norm(dim=-1), torch.ones(()), atol=1e-5)
    share = float((dropped == 0).float().mean())
    assert share == pytest.approx(0.1, abs=0.02) if is_behind else share == 0.0
    assert not torch.equal(states, dropped)
