"""NAONet-B, the cell of NAO's search with shared weights in its PyTorch program: 2.93 % (Luo et al. 2018).

A table elsewhere gives it 2.5 M parameters, the size of another cell: see `naonet_ws`.
"""

from netwright.spaces.nao import NaoSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
SEP3 = "sep 3x3"
SEP5 = "sep 5x5"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"

# an operation and the state that it reads, twice; rows are states 2 to 6, and state 0 is the cell before the last
NORMAL = (
    (SEP5, 0, AVG, 0),
    (SEP5, 0, AVG, 2),
    (MAX, 1, AVG, 0),
    (SEP3, 4, MAX, 1),
    (SEP5, 2, MAX, 0),
)
REDUCTION = (
    (SEP5, 1, SEP3, 1),
    (SEP5, 2, NONE, 2),
    (SEP3, 1, MAX, 2),
    (SEP5, 3, AVG, 2),
    (AVG, 0, AVG, 0),
)

SPACE = NaoSpace(operations="small", channels=36, repeats=6)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Luo et al. 2018; the cell as in the PyTorch program that it was published with",
    params="2.9 M",
    note="counted, not printed: CIFAR-10, 36 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 2_921_302, 462_002_400, "2.9 M"),
        Size({"channels": 20, "repeats": 6}, CIFAR, 984_870, 160_657_760, ""),
    ),
)
