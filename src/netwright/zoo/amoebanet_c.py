"""AmoebaNet-C, an early cell of the main experiments with few parameters (Real et al. 2019).

The reduction cell concatenates state 0, which is brought to half the resolution for that.
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
    (AVG, 0, SEP3, 0),
    (NONE, 0, SEP3, 0),
    (AVG, 2, SEP3, 1),
    (NONE, 0, SEP3, 1),
    (AVG, 3, SEP3, 0),
)
REDUCTION = (
    (MAX, 0, MAX, 0),
    (SEP7, 2, SEP3, 0),
    (SEP7, 0, MAX, 1),
    (SEP5, 4, SEP5, 4),
    (MAX, 1, SEP3, 1),
)

SPACE = NasnetSpace(
    operations="sp1",
    concatenated=((1, 2, 4, 5, 6), (0, 2, 3, 4, 5, 6)),
    channels=36,
    repeats=6,
)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Real et al. 2019, supplement; cells as in the code that it was published with",
    params="5.1 M",
    note="published for ImageNet, 44 channels and 4 repeats",
    sizes=(
        Size({"channels": 32, "repeats": 6}, CIFAR, 3_169_898, 486_512_896, ""),
        Size({"channels": 36, "repeats": 6}, CIFAR, 3_979_126, 609_700_896, ""),
        Size(
            {"channels": 44, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            5_056_969,
            535_067_904,
            "5.1 M, 535 M",
        ),
        Size(
            {"channels": 50, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            6_353_815,
            676_936_592,
            "6.4 M, 570 M",
        ),
        Size(
            {"channels": 228, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 331, 331, 1000),
            155_272_667,
            41_129_488_875,
            "155.3 M, 41.1 B",
        ),
    ),
)
