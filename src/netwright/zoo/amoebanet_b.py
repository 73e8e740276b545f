"""AmoebaNet-B, from a search over a larger set of operations (Real et al. 2019).

The code that it was published with builds its dilated convolution as an ordinary one; here it is dilated. The size
published for ImageNet with 190 channels, 84.0 M, is that of 196.
"""

from netwright.core.records import IO
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
CONV1 = "conv 1x1"
CONV3 = "conv 3x3"
SEP3 = "sep 3x3"
DIL5 = "dil sep 5x5"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"
MAX2 = "max pool 2x2"

# an operation and the state that it reads, twice; rows are states 2 to 6
NORMAL = (
    (CONV1, 1, MAX, 1),
    (NONE, 1, SEP3, 0),
    (CONV1, 1, SEP3, 0),
    (CONV1, 2, NONE, 2),
    (AVG, 1, CONV1, 5),
)
REDUCTION = (
    (MAX2, 0, MAX, 0),
    (NONE, 2, CONV3, 1),
    (DIL5, 2, MAX, 2),
    (NONE, 3, SEP3, 1),
    (AVG, 4, CONV1, 3),
)

SPACE = NasnetSpace(
    operations="sp2",
    concatenated=((0, 3, 4, 6), (5, 6)),
    channels=36,
    repeats=6,
)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Real et al. 2019, supplement; cells as in the code that it was published with",
    params="2.8 M",
    note="published for CIFAR-10, 36 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 2_839_186, 454_925_952, "2.8 M"),
        Size({"channels": 80, "repeats": 6}, CIFAR, 13_716_250, 2_195_468_800, "13.7 M"),
        Size({"channels": 128, "repeats": 6}, CIFAR, 34_874_506, 5_580_279_808, "34.9 M"),
        Size(
            {"channels": 62, "repeats": 3, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            5_258_700,
            555_060_408,
            "5.3 M, 555 M",
        ),
        Size(
            {"channels": 190, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 331, 331, 1000),
            79_008_676,
            20_934_489_887,
            "",
        ),
        Size(
            {"channels": 196, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 331, 331, 1000),
            83_960_973,
            22_272_815_179,
            "84.0 M, 22.3 B",
        ),
        Size(
            {"channels": 512, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 480, 480, 1000),
            557_277_864,
            298_794_036_064,
            "557 M",
        ),
    ),
)
