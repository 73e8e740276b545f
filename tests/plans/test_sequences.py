"""Operations on tokens and sequences, as plans write them."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from netwright.core import seeds
from netwright.core.protocols import CarriesState
from netwright.core.records import IO, Counts
from netwright.core.refs import Reference
from netwright.core.shapes import Image, Sequence, Tokens, Weights
from netwright.export import architecture
from netwright.plans import counting, network, source
from netwright.plans.ops.lean_recurrence import LeanRecurrence
from netwright.plans.ops.sequence_modules import Recurrence
from netwright.plans.ops.sequences import LockedDropout, Recurrent, TiedLinear, TokenLookup, WordDropout, WordVectors
from netwright.plans.plan import PlanWriter, deployed
from netwright.plans.regularization import Regularization
from netwright.spaces.rnn import RnnSpace

WORDS, STEPS, UNITS = 11, 6, 8
TEXT = IO(Tokens(WORDS, STEPS), Tokens(WORDS, STEPS))
SPACE = RnnSpace(width=UNITS, nodes=5)
# two nodes of depth 2 read one state, two of depth 2 read others, and all activations are there
CELL = SPACE.encode(((0, "sigmoid"), (0, "relu"), (1, "identity"), (2, "tanh"), (1, "relu")))


def _network(space=SPACE, genotype=CELL):
    return space.build(genotype, TEXT, seeds.rng_for(0, seeds.BUILD))


def _tokens(rows=3, seed=0):
    return torch.randint(WORDS, (rows, STEPS), generator=torch.Generator().manual_seed(seed))


def test_counts_are_those_of_the_tied_network():
    table, cell = WORDS * UNITS, 14 * UNITS**2
    assert SPACE.count(CELL, TEXT) == Counts(table + WORDS + cell, STEPS * (table + cell))
    found = _network()
    assert sum(weight.numel() for weight in found.parameters()) == table + WORDS + cell
    assert set(found.state_dict()) == {"words.weight", "recurrent.entering", "recurrent.weight", "decoder.bias"}


def test_weights_are_drawn_within_the_published_range():
    found = _network(RnnSpace(width=64), RnnSpace().sample(seeds.rng_for(0, seeds.ASK)))
    for name, weight in found.named_parameters():
        largest = weight.abs().max().item()
        assert largest == 0 if name == "decoder.bias" else 0.039 < largest <= 0.04


@pytest.mark.parametrize("averages_all", [False, True])
def test_the_lean_layer_has_the_gradients_of_the_plain_one(averages_all):
    cell = SPACE.cell(CELL)
    reads, activations = zip(*cell.nodes, strict=True)
    plain, lean = (kind(UNITS, reads, activations, averages_all).double() for kind in (Recurrence, LeanRecurrence))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    lean.load_state_dict(plain.state_dict())
    x, state = (torch.randn(*shape, UNITS, generator=generator).double() for shape in ((3, STEPS), (3,)))
    plain.state = lean.state = state
    x.requires_grad_()
    wanted = torch.randn(3, STEPS, UNITS, generator=generator).double()
    outputs = plain(x), lean(x)
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(lean.state, plain.state)
    gradients = [
        torch.autograd.grad((found * wanted).sum(), [x, *layer.parameters()])
        for layer, found in zip((plain, lean), outputs, strict=True)
    ]
    for ours, expected in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(ours, expected)


def test_what_is_dropped_within_is_the_same_at_all_steps_and_has_a_gradient():
    reads, activations = zip(*SPACE.cell(CELL).nodes, strict=True)
    lean = LeanRecurrence(UNITS, reads, activations).double()
    generator = torch.Generator().manual_seed(0)
    kept = 2.0 * torch.randint(2, (2, UNITS), generator=generator).double()
    x = torch.randn(2, 3, UNITS, generator=generator).double()
    # the factors act as if the rows of the weights that states meet had them, one sequence at a time
    for row in range(2):
        folded = Recurrence(UNITS, reads, activations).double()
        with torch.no_grad():
            folded.weight.copy_(lean.weight * kept[row, None, :, None])
            folded.entering.copy_(torch.cat([lean.entering[:UNITS], lean.entering[UNITS:] * kept[row, :, None]]))
        lean.state = None
        found, expected = lean(x, kept)[row], folded(x[row : row + 1])[0]
        torch.testing.assert_close(found, expected)
        lean.zero_grad()
        found.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(lean.weight.grad, folded.weight.grad * kept[row, None, :, None])


def test_half_precision_comes_close_and_gives_single_precision():
    found = _network()
    with torch.no_grad():
        found.recurrent.weight.mul_(20)
    tokens = _tokens()
    expected = found(tokens)
    found.carry(None)
    with torch.autocast("cpu", torch.bfloat16):
        half = found(tokens)
    assert found.recurrent.state.dtype == torch.float32
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=2e-3)
    half.float().sum().backward()
    assert all(weight.grad.dtype == torch.float32 for weight in found.parameters())


def test_a_network_carries_its_state_from_batch_to_batch():
    found = _network().eval()
    assert isinstance(found, CarriesState)
    assert found.carried() == {}
    tokens = _tokens(rows=2)
    with torch.no_grad():
        whole = found(tokens)
        state = {name: value.clone() for name, value in found.carried().items()}
        found.carry(None)
        parts = [found(part) for part in tokens.split(STEPS // 2, 1)]
        torch.testing.assert_close(torch.cat(parts, 1), whole)
        torch.testing.assert_close(found.carried(), state)
        found.carry({"recurrent": torch.zeros(2, UNITS)})
        torch.testing.assert_close(found(tokens), whole)
        assert found(tokens[:1]).shape == (1, STEPS, WORDS)  # of another size: begun anew


def test_no_gradient_flows_into_the_batch_before():
    found = _network()
    found(_tokens())
    assert not found.carried()["recurrent"].requires_grad
    found(_tokens(seed=1)).sum().backward()


def test_a_network_without_a_recurrent_layer_carries_nothing():
    writer = PlanWriter(IO(3, 4, 4, 2))
    writer.linear(writer.mean(writer.image), 2)
    assert not isinstance(network.made(writer.plan()), CarriesState)


def _drawn(rows, batch=4, **options):
    generator = torch.Generator().manual_seed(0)
    return _network().draws(Regularization(**options), 0.0, generator, rows, batch)


def test_draws_are_locked_and_belong_to_places_in_the_batch():
    options = dict.fromkeys(("dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output"), 0.5)
    samples, words, *others = _drawn(slice(0, 4), dropout_words=0.5, **options)
    assert samples is None
    assert words.shape == (WORDS, 1)
    assert [factor.shape for factor in others] == [(4, 1, UNITS), (4, 1, UNITS), (4, UNITS), (4, 1, UNITS)]
    assert {value for factor in (words, *others) for value in factor.unique().tolist()} == {0.0, 2.0}
    _, part_words, *part = _drawn(slice(1, 3), dropout_words=0.5, **options)
    assert torch.equal(words, part_words)
    for whole, rows in zip(others, part, strict=True):
        assert torch.equal(whole[1:3], rows)


@pytest.mark.parametrize("option", ["dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output"])
def test_each_dropout_acts_while_a_network_trains_and_nowhere_else(option):
    found = _network()
    found.recurrent.weight.data.mul_(20)
    tokens, factors = _tokens(rows=4), _drawn(slice(0, 4), **{option: 0.5})
    assert sum(factor is not None for factor in factors) == 1
    plain = found(tokens)
    found.carry(None)
    found.regularize(factors)
    assert not torch.allclose(found(tokens), plain)
    found.carry(None)
    found.eval().regularize(factors)
    torch.testing.assert_close(found(tokens), plain)


def test_dropped_words_are_read_alike_and_still_answered():
    found = _network()
    with torch.no_grad():
        found.recurrent.entering.mul_(20)
    kept = torch.ones(WORDS, 1)
    kept[[3, 5]] = 0
    words = torch.tensor([[3], [5], [6]]).expand(-1, STEPS)
    plain = found(words)
    found.carry(None)
    found.regularize((None, kept, None, None, None, None))
    dropped = found(words)
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.allclose(plain[0], plain[1])
    torch.testing.assert_close(dropped[2], plain[2])
    assert dropped[0][:, 3].any(), "the decoder still has its vector"


def test_activations_are_left_for_penalties():
    found = _network()
    found.keeps_activations = True
    options = {"dropout_output": 0.5}
    found.regularize(_drawn(slice(0, 4), **options))
    logits = found(_tokens(rows=4))
    raw, dropped = (found.activations[name] for name in ("recurrent", "recurrent dropped"))
    assert raw.shape == dropped.shape == (4, STEPS, UNITS)
    torch.testing.assert_close(logits, F.linear(dropped, found.words.weight, found.decoder.bias))
    shares = (dropped / raw)[raw != 0]
    assert set(shares.unique().round().tolist()) == {0.0, 2.0}
    raw.square().mean().backward()
    assert found.recurrent.weight.grad is not None


@pytest.mark.parametrize("average", ["searched", "all"])
def test_source_and_module_are_one_network(average):
    space = RnnSpace(width=UNITS, nodes=5, average=average)
    plan = space.plan(CELL, TEXT)
    text = source.classes(plan)
    names = {"torch": torch, "F": F, "nn": torch.nn, "Tensor": torch.Tensor}
    exec(compile(text, "model", "exec"), names)
    ours, theirs = _network(space).eval(), names["Model"]().eval()
    theirs.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        for seed in range(2):  # both carry their states
            assert torch.equal(ours(_tokens(seed=seed)), theirs(_tokens(seed=seed)))
    assert "self.words()  # (11, 8)" in text
    assert max(map(len, text.splitlines())) <= 120


def test_an_exported_plan_is_read_back(tmp_path):
    plan = deployed(SPACE.plan(CELL, TEXT))
    assert [layer.op.name for layer in plan] == ["input", "word_vectors", "token_lookup", "recurrent", "tied_linear"]
    text = architecture.to_json(Reference("rnn"), SPACE, CELL, TEXT, plan)
    (tmp_path / architecture.FILE).write_text(text)
    assert architecture.read_plan(tmp_path) == plan


def test_weights_take_no_memory_of_examples():
    small, large = (counting.training_bytes(RnnSpace(width=UNITS).plan((0,) * 22, TEXT), batch) for batch in (1, 2))
    states = 4 * STEPS * UNITS * (6 * 12 + 2)
    logits = 4 * STEPS * WORDS
    assert states + logits < large - small < 2 * (states + 3 * logits)


WRONG = [
    (WordVectors(0, 3), (), "it has at least 1"),
    (TokenLookup(), (Image(1, 2, 3), Weights(3, 4)), "takes tokens and weights"),
    (TokenLookup(), (Tokens(5, 2), Weights(3, 4)), "has 4 vectors for a vocabulary of 5"),
    (TiedLinear(), (Tokens(5, 2), Weights(3, 4)), "takes a sequence and weights"),
    (TiedLinear(), (Sequence(2, 2), Weights(3, 4)), "has vectors of 3 numbers for 2 features"),
    (LockedDropout(), (Image(1, 2, 3),), "locked_dropout takes a sequence"),
    (WordDropout(), (Sequence(2, 2),), "word_dropout takes weights"),
    (Recurrent((0,), ("tanh",)), (Image(1, 2, 3),), "recurrent takes a sequence"),
    (Recurrent((0, 1), ("tanh",)), (Sequence(2, 2),), "has 2 nodes and 1 activations"),
    (Recurrent((0, 2), ("tanh", "relu")), (Sequence(2, 2),), "node 2 of a recurrent layer reads 2"),
]


@pytest.mark.parametrize(("op", "inputs", "message"), WRONG)
def test_what_cannot_be_is_said(op, inputs, message):
    with pytest.raises(ValueError, match=message):
        op.checked_shape(inputs)


def test_equal_states_of_one_depth_are_computed_together():
    reads, activations = zip(*SPACE.cell(CELL).nodes, strict=True)
    wiring = LeanRecurrence(UNITS, reads, activations)._wiring
    assert [(depth.at.start, depth.at.stop) for depth in wiring.depths] == [(1, 3), (3, 6)]
    assert all(before.at.stop == after.at.start for before, after in pairwise(wiring.depths))
    assert wiring.depths[0].reads == (0,)
    assert len(wiring.depths[1].reads) == 3
