"""NAO-WS, the cell of NAO's first search with shared weights, in TensorFlow: 3.50 to 3.53 % (Luo et al. 2018)."""

from netwright.spaces.nao import NaoSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
SEP3 = "sep 3x3"
SEP5 = "sep 5x5"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"

# an operation and the state that it reads, twice; rows are states 2 to 6, and state 0 is the cell before the last
NORMAL = (
    (SEP5, 0, NONE, 0),
    (AVG, 2, MAX, 1),
    (SEP3, 1, SEP3, 2),
    (MAX, 2, MAX, 1),
    (AVG, 1, NONE, 0),
)
REDUCTION = (
    (SEP5, 1, MAX, 0),
    (MAX, 2, MAX, 2),
    (SEP3, 1, SEP5, 0),
    (NONE, 0, NONE, 2),
    (MAX, 2, MAX, 2),
)

SPACE = NaoSpace(operations="small", channels=36, repeats=5, flavor="tensorflow-ws")

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Luo et al. 2018; the cell as in the TensorFlow program that it was published with",
    params="2.5 M",
    note="published for CIFAR-10, 36 channels and 5 repeats",
    sizes=(Size({"channels": 36, "repeats": 5}, CIFAR, 2_466_252, 394_966_656, "2.5 M"),),
)
