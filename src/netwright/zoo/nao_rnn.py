"""The recurrent cell of NAO's search without shared weights: 56.0 perplexity on Penn Treebank (Luo et al. 2018).

Its last node is an identity: where activations are numbered as in the program with shared weights, the same string of
numbers would say sigmoid.
"""

from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.spaces.rnn import RnnSpace
from netwright.zoo.published import Published, Size

# for nodes 1 to 11, the state that it reads and its activation
NODES = (
    (0, "relu"),
    (0, "relu"),
    (1, "relu"),
    (3, "tanh"),
    (4, "relu"),
    (4, "relu"),
    (5, "relu"),
    (1, "relu"),
    (7, "relu"),
    (1, "relu"),
    (1, "identity"),
)

PENN_TREEBANK = IO(Tokens(10_000, 35), Tokens(10_000, 35))
WIKITEXT_2 = IO(Tokens(33_278, 35), Tokens(33_278, 35))

SPACE = RnnSpace(width=850)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NODES),
    io=PENN_TREEBANK,
    source="Luo et al. 2018; the cell as in the TensorFlow program that it was published with",
    params="27 M",
    note="published for Penn Treebank, 850 units",
    sizes=(
        Size({"width": 850}, PENN_TREEBANK, 27_295_000, 954_975_000, "27 M"),
        Size({"width": 700}, WIKITEXT_2, 36_067_878, 1_261_211_000, "36 M"),
        Size({"width": 300}, PENN_TREEBANK, 5_350_000, 186_900_000, ""),
    ),
)
