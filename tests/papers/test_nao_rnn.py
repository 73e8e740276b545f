"""NAO's recurrent cells against the numbers of their description: sequences, sizes, what a cell computes.

Luo et al. 2018, "Neural Architecture Optimization", arXiv:1808.07233; sections and checks are those of the description.
The controllers of these cells are checked with the others, in a file of their own.
"""

import json
from dataclasses import replace

import pytest
import torch

from netwright.cli.main import main
from netwright.core import genes, refs, seeds
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.spaces.rnn import RnnSpace
from netwright.strategies.nao import Nao

SPACE = RnnSpace()
TEXT = IO(Tokens(9, 3), Tokens(9, 3))
NAO, SHARED = (refs.locate("zoo", name) for name in ("nao-rnn", "nao-rnn-shared"))


def _numbers(text):
    return tuple(map(int, text.split()))


def test_published_strings_and_tokens():
    """Sections 2.3 and 9.2: in the program with shared weights 2 is sigmoid and 3 identity."""
    assert NAO.genotype == _numbers("0 1 0 1 1 1 3 0 4 1 4 1 5 1 1 1 7 1 1 1 1 2")
    swapped = [(0, 1, 3, 2)[value] if place % 2 else value for place, value in enumerate(SHARED.genotype)]
    assert tuple(swapped) == _numbers("0 1 1 1 2 2 1 2 4 1 4 1 4 1 7 1 8 2 1 0 4 1")
    tokens = _numbers("1 13 1 13 2 13 4 12 5 13 5 13 6 13 2 13 8 13 2 13 2 14")
    assert genes.to_tokens(SPACE.genes, NAO.genotype) == tokens
    tokens = _numbers("1 13 2 13 3 14 2 14 5 13 5 13 5 13 8 13 9 14 2 12 5 13")
    assert genes.to_tokens(SPACE.genes, tuple(swapped)) == tokens


@pytest.mark.parametrize(("words", "width", "params"), [(10_000, 850, 27_295_000), (33_278, 700, 36_067_878)])
def test_sizes(words, width, params, capsys):
    """Check 19, by the command."""
    shape = f"tokens={words}x35:tokens={words}x35"
    with pytest.raises(SystemExit) as ended:
        main(["show", "zoo:nao-rnn", "--json", "--space.width", str(width), "--io", shape])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["params"] == params
    assert found["multiply_adds"] == 35 * (params - words)


def test_the_default_size_is_that_of_penn_treebank(capsys):
    with pytest.raises(SystemExit):
        main(["show", "zoo:nao-rnn", "--json"])
    assert json.loads(capsys.readouterr().out)["params"] == 27_295_000


def test_the_size_of_the_search_with_shared_weights():
    tokens = Tokens(10_000, 35)
    assert RnnSpace(width=300).count(NAO.genotype, IO(tokens, tokens)).params == 5_350_000


def _emptied(entry, average="searched", **options):
    """The network of a published cell with all weights of its recurrent layer zero, in double precision."""
    space = replace(entry.space, width=20, average=average, **options)
    found = space.build(entry.genotype, TEXT, seeds.rng_for(0, seeds.BUILD)).double().eval()
    for weight in found.recurrent.parameters():
        torch.nn.init.zeros_(weight)
    return found


def _after(found, state):
    found.carry({"recurrent": state})
    with torch.no_grad():
        found(torch.zeros(len(state), 1, dtype=torch.int64))
    return found.carried()["recurrent"]


def test_all_weights_zero():
    """Check 20; a sigmoid in place of the identity would add a quarter of 1/11."""
    state = torch.randn(4, 20, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(_after(_emptied(NAO), state), 0.1044034090909091 * state)
    depths = (1, 1, 2, 3, 4, 4, 5, 2, 6, 2, 2)
    assert sum(2.0 ** -(depth + 1) for depth in depths) / 11 == pytest.approx(0.1044034090909091)
    sigmoid = replace(NAO, genotype=(*NAO.genotype[:-1], 3))
    torch.testing.assert_close(_after(_emptied(sigmoid), state), 0.1044034090909091 * state + 0.25 / 11)


def test_state_0_is_averaged_in_the_search_only():
    """Check 21, with all weights zero: 11 states, or 12 with half of the state before among them."""
    state = torch.ones(1, 20).double()
    searched = _after(_emptied(NAO), state)
    torch.testing.assert_close(_after(_emptied(NAO, average="all"), state), (11 * searched + 0.5) / 12)


def test_closed_gates_keep_the_state():
    """Check 20: where all gates are shut, the output is the output before."""
    found = _emptied(NAO)
    with torch.no_grad():
        found.recurrent.entering[20:, :20] = -1e3 * torch.eye(20)
        found.recurrent.weight[:, :, :20] = -1e3 * torch.eye(20)
    state = torch.rand(3, 20, generator=torch.Generator().manual_seed(0)).double() + 0.5
    torch.testing.assert_close(_after(found, state), state)


def test_nao_reads_a_cell_token_by_token():
    """Check 1: 22 steps in the search without shared weights, whatever the period of the genes."""
    assert Nao(SPACE, program="tf-rnn")._tokens.group == 1
    assert Nao(SPACE, program="tf-ws-rnn")._tokens.group == 2
    given = Nao(SPACE, group=1)._tokens
    assert (given.group, given.length, given.vocabulary) == (1, 22, 16)
    for group in (0, 4):
        with pytest.raises(BadReference, match=f"strategy.group is {group}; it must divide 22"):
            Nao(SPACE, group=group)
