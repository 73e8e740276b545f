"""NAONet-V2, the cell of a later search with shared weights, which trains large networks more often: 2.57 %.

Luo et al. 2019, arXiv:1909.10815. No number of parameters is printed; the one here is that with 36 channels.
"""

from netwright.core.records import IO
from netwright.spaces.nao import NaoSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
SEP3 = "sep 3x3"
SEP5 = "sep 5x5"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"

# an operation and the state that it reads, twice; rows are states 2 to 6, and state 0 is the cell before the last
NORMAL = (
    (SEP5, 1, SEP5, 0),
    (NONE, 2, SEP3, 0),
    (SEP3, 0, SEP5, 2),
    (SEP3, 0, AVG, 0),
    (MAX, 0, SEP3, 0),
)
REDUCTION = (
    (AVG, 0, AVG, 0),
    (AVG, 2, SEP3, 1),
    (SEP3, 0, SEP5, 0),
    (SEP3, 0, MAX, 0),
    (SEP3, 0, SEP5, 0),
)

SPACE = NaoSpace(operations="small", channels=36, repeats=6)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Luo et al. 2019, arXiv:1909.10815; the cell as in the program that it was published with",
    params="4.4 M",
    note="counted, not printed: CIFAR-10, 36 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 4_387_654, 684_238_464, "4.4 M"),
        Size(
            {"channels": 52, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            7_026_850,
            782_069_184,
            "",
        ),
    ),
)
