"""AmoebaNet-A, the most accurate cell of the main experiments (Real et al. 2019).

Versions of the paper before the seventh show another cell; this is the one of the code, which the authors called right.
Its lists of concatenated states are data: state 1 is concatenated although it is read.
"""

from netwright.core.records import IO
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
CONV7 = "conv 1x7 7x1"
SEP3 = "sep 3x3"
SEP5 = "sep 5x5"
SEP7 = "sep 7x7"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"

# an operation and the state that it reads, twice; rows are states 2 to 6
NORMAL = (
    (AVG, 0, MAX, 0),
    (SEP3, 1, NONE, 1),
    (NONE, 0, AVG, 1),
    (SEP3, 0, SEP5, 2),
    (AVG, 5, SEP3, 0),
)
REDUCTION = (
    (SEP3, 1, AVG, 0),
    (MAX, 0, SEP7, 2),
    (MAX, 1, MAX, 0),
    (SEP3, 4, CONV7, 0),
    (AVG, 1, SEP7, 0),
)

SPACE = NasnetSpace(
    operations="sp1",
    concatenated=((1, 3, 4, 6), (2, 3, 4, 5, 6)),
    channels=36,
    repeats=6,
)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Real et al. 2019, table 1; cells as in the code that it was published with",
    params="3.2 M",
    note="published for CIFAR-10, 36 channels and 6 repeats",
    sizes=(
        Size({"channels": 32, "repeats": 6}, CIFAR, 2_567_754, 407_671_808, "2.6 M"),
        Size({"channels": 36, "repeats": 6}, CIFAR, 3_218_266, 509_668_992, "3.2 M"),
        Size(
            {"channels": 50, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            5_086_930,
            554_687_204,
            "5.1 M, 555 M",
        ),
        Size(
            {"channels": 190, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 331, 331, 1000),
            86_718_797,
            23_133_663_507,
            "86.7 M, 23.1 B",
        ),
        Size(
            {"channels": 204, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 331, 331, 1000),
            99_625_282,
            26_623_181_694,
            "99.6 M, 26.2 B",
        ),
        Size(
            {"channels": 448, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 299, 299, 1000),
            468_151_184,
            103_887_693_968,
            "469 M, 104 B",
        ),
    ),
)
