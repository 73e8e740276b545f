"""The recurrent cell of NAO's search with shared weights: 56.6 perplexity on Penn Treebank (Luo et al. 2018).

It was found with a mean of all 12 states and trained with a mean of the 11 searched ones.
"""

from netwright.spaces.rnn import RnnSpace
from netwright.zoo.nao_rnn import PENN_TREEBANK, WIKITEXT_2
from netwright.zoo.published import Published, Size

# for nodes 1 to 11, the state that it reads and its activation
NODES = (
    (0, "relu"),
    (1, "relu"),
    (2, "sigmoid"),
    (1, "sigmoid"),
    (4, "relu"),
    (4, "relu"),
    (4, "relu"),
    (7, "relu"),
    (8, "sigmoid"),
    (1, "tanh"),
    (4, "relu"),
)

SPACE = RnnSpace(width=850)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NODES),
    io=PENN_TREEBANK,
    source="Luo et al. 2018; the cell as in the program with shared weights that it was published with",
    params="27 M",
    note="published for Penn Treebank, 850 units",
    sizes=(
        Size({"width": 850}, PENN_TREEBANK, 27_295_000, 954_975_000, "27 M"),
        Size({"width": 700}, WIKITEXT_2, 36_067_878, 1_261_211_000, "36 M"),
    ),
)
