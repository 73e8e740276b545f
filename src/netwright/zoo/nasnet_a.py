"""NASNet-A, found by reinforcement learning (Zoph et al. 2018).

The largest ImageNet model has a wider stem, of 96 channels; its published size counts the statistics of normalization.
"""

from netwright.core.records import IO
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
SEP3 = "sep 3x3"
SEP5 = "sep 5x5"
SEP7 = "sep 7x7"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"

# an operation and the state that it reads, twice; rows are states 2 to 6
NORMAL = (
    (SEP5, 0, SEP3, 1),
    (SEP5, 1, SEP3, 1),
    (AVG, 0, NONE, 1),
    (AVG, 1, AVG, 1),
    (SEP3, 0, NONE, 0),
)
REDUCTION = (
    (SEP5, 0, SEP7, 1),
    (MAX, 0, SEP7, 1),
    (AVG, 0, SEP5, 1),
    (NONE, 3, AVG, 2),
    (SEP3, 2, MAX, 0),
)

SPACE = NasnetSpace(
    operations="nasnet",
    concatenated=((1, 2, 3, 4, 5, 6), (3, 4, 5, 6)),
    channels=32,
    repeats=6,
)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Zoph et al. 2018, tables 1 to 3 and figure 4; cells as in the code that it was published with",
    params="3.3 M",
    note="published for CIFAR-10, 32 channels and 6 repeats",
    sizes=(
        Size({"channels": 32, "repeats": 6}, CIFAR, 3_346_538, 544_333_312, "3.3 M"),
        Size(
            {"channels": 44, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            5_289_978,
            563_638_816,
            "5.3 M, 564 M",
        ),
        Size(
            {"channels": 168, "repeats": 6, "skeleton": "imagenet", "stem": 96},
            IO(3, 331, 331, 1000),
            88_753_150,
            23_783_414_658,
            "88.9 M, 23.8 B",
        ),
    ),
)
