from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from netwright.core import genes, refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.protocols import check_accepts
from netwright.core.records import IO
from netwright.core.shapes import Classes, Tokens
from netwright.plans.plan import HasPlan
from netwright.spaces.rnn import RnnSpace
from netwright.testing.spaces import check_space

SPACE = RnnSpace()
SMALL = RnnSpace(width=6, nodes=3)
TEXT = IO(Tokens(9, 4), Tokens(9, 4))
CHAIN = ((0, "relu"), (1, "tanh"), (0, "sigmoid"))


@pytest.mark.parametrize("average", ["searched", "all"])
def test_it_keeps_the_contract(average):
    check_space(replace(SMALL, average=average), TEXT, samples=2)
    assert isinstance(SPACE, HasPlan)


def test_genes():
    assert [gene.name for gene in SPACE.genes[:4]] == ["reads 1", "activation 1", "reads 2", "activation 2"]
    assert [len(gene.options) for gene in SPACE.genes] == [n for node in range(1, 12) for n in (node, 4)]
    assert SPACE.genes[1].options == ("tanh", "relu", "identity", "sigmoid")


def test_samples_are_uniform():
    rng = seeds.rng_for(0, seeds.ASK)
    drawn = [SPACE.sample(rng) for _ in range(2000)]
    for place in (1, 20, 21):
        counts = Counter(genotype[place] for genotype in drawn)
        assert len(counts) == len(SPACE.genes[place].options)
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_a_mutant_differs_in_one_gene_at_most():
    genotype, rng = SPACE.sample(seeds.rng_for(0, seeds.ASK)), np.random.default_rng(0)
    differing = Counter(sum(map(int.__ne__, genotype, SPACE.mutate(genotype, rng))) for _ in range(100))
    assert set(differing) == {0, 1}


def test_a_cell_is_known_whatever_the_order_of_its_nodes():
    key = SMALL.key(SMALL.encode(CHAIN))
    assert SMALL.key(SMALL.encode(((0, "sigmoid"), (0, "relu"), (2, "tanh")))) == key
    assert SMALL.key(SMALL.encode(((0, "sigmoid"), (0, "relu"), (1, "tanh")))) != key
    assert SMALL.key(SMALL.encode(((0, "relu"), (1, "tanh"), (1, "sigmoid")))) != key
    assert replace(SMALL, average="all").key(SMALL.encode(CHAIN)) != key


def test_equal_keys_have_equal_counts_and_other_networks_other_keys():
    rng = seeds.rng_for(1, seeds.ASK)
    keys = {SPACE.key(SPACE.sample(rng)) for _ in range(300)}
    assert len(keys) == 300


def test_a_drawing_shows_each_node_with_what_it_reads():
    graph = SMALL.graph(SMALL.encode(CHAIN))
    [cell] = graph.parts
    assert graph.edges[1][2] == cell.name
    assert cell.edges[:4] == ((0, 1, "tanh"), (1, 2, "relu"), (2, 3, "tanh"), (1, 4, "sigmoid"))
    assert cell.edges[4:] == ((2, 5, "mean"), (3, 5, "mean"), (4, 5, "mean"))
    assert len(replace(SMALL, average="all").graph(SMALL.encode(CHAIN)).parts[0].edges) == 8


def test_what_is_no_cell_is_refused():
    with pytest.raises(InvalidGenotype, match="node 2 has the activation 'gelu'; there are tanh, relu"):
        SMALL.encode((*CHAIN[:1], (0, "gelu"), CHAIN[2]))
    with pytest.raises(InvalidGenotype, match=r"gene 2 \(reads 2\) is 2; it takes a whole number: 0 = 0, 1 = 1"):
        SMALL.encode((CHAIN[0], (2, "relu"), CHAIN[2]))


def test_images_are_refused_and_so_are_classes_of_texts():
    with pytest.raises(BadReference, match="the space builds networks for tokens, but images of 3 x 32 x 32 go in"):
        check_accepts(SPACE, IO(3, 32, 32, 10))
    with pytest.raises(BadReference, match="but 4 tokens of a vocabulary of 9 go in and 2 classes come out"):
        SMALL.plan(SMALL.encode(CHAIN), IO(Tokens(9, 4), Classes(2)))
    with pytest.raises(BadReference, match="tokens of the same vocabulary"):
        SMALL.plan(SMALL.encode(CHAIN), IO(Tokens(9, 4), Tokens(8, 4)))


def test_a_published_image_network_is_no_text_network():
    entry = refs.locate("zoo", "naonet-a")
    with pytest.raises(BadReference, match="builds networks for images"):
        check_accepts(entry.space, TEXT)


def test_tokens_are_the_published_vocabulary():
    masks = genes.token_masks(SPACE.genes)
    assert masks.shape == (22, 16)
    assert masks[0].nonzero()[0].tolist() == [1]
    assert masks[20].nonzero()[0].tolist() == list(range(1, 12))
    assert masks[21].nonzero()[0].tolist() == [12, 13, 14, 15]
