"""The recurrent cell of DARTS, for comparison: 55.7 perplexity on Penn Treebank (Liu et al. 2019).

It is the one of the two published cells that was found by second-order gradients.
"""

from netwright.spaces.rnn import RnnSpace
from netwright.zoo.nao_rnn import PENN_TREEBANK, WIKITEXT_2
from netwright.zoo.published import Published, Size

# for nodes 1 to 8, the state that it reads and its activation
NODES = (
    (0, "sigmoid"),
    (1, "relu"),
    (1, "relu"),
    (1, "identity"),
    (2, "tanh"),
    (5, "sigmoid"),
    (3, "tanh"),
    (5, "relu"),
)

SPACE = RnnSpace(width=850, nodes=8)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NODES),
    io=PENN_TREEBANK,
    source="Liu et al. 2019, arXiv:1806.09055; the cell as in the code that it was published with",
    params="23 M",
    note="published for Penn Treebank, 850 units",
    sizes=(
        Size({"width": 850}, PENN_TREEBANK, 22_960_000, 803_250_000, "23 M"),
        Size({"width": 700}, WIKITEXT_2, 33_127_878, 1_158_311_000, "33 M"),
    ),
)
