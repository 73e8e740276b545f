"""AmoebaNet-D, changed by hand from AmoebaNet-B to train at low cost (Real et al. 2019).

A figure of the normal cell suggests that states 4, 5 and 6 are concatenated; the code's list gives the sizes that GPipe
(Huang et al. 2019) published.
"""

from netwright.core.records import IO
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
CONV1 = "conv 1x1"
CONV3 = "conv 3x3"
CONV7 = "conv 1x7 7x1"
AVG = "avg pool 3x3"
MAX = "max pool 3x3"
MAX2 = "max pool 2x2"

# an operation and the state that it reads, twice; rows are states 2 to 6
NORMAL = (
    (CONV1, 1, MAX, 1),
    (NONE, 1, CONV7, 0),
    (CONV1, 0, CONV7, 0),
    (MAX, 2, NONE, 2),
    (AVG, 1, CONV1, 5),
)
REDUCTION = (
    (MAX2, 0, MAX, 0),
    (NONE, 2, CONV3, 1),
    (CONV7, 2, MAX, 2),
    (NONE, 3, MAX2, 1),
    (AVG, 2, CONV1, 3),
)

SPACE = NasnetSpace(
    operations="sp2",
    concatenated=((0, 3, 4, 6), (4, 5, 6)),
    channels=36,
    repeats=6,
)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Real et al. 2019, section on AmoebaNet-D; cells as in the code that it was published with",
    params="318 M",
    note="published by Huang et al. 2019 for ImageNet, 416 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 2_378_350, 381_050_496, ""),
        Size(
            {"channels": 256, "repeats": 2, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            46_095_080,
            5_715_769_696,
            "",
        ),
        Size(
            {"channels": 256, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            121_911_016,
            14_193_506_656,
            "",
        ),
        Size(
            {"channels": 208, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            81_137_437,
            9_381_914_368,
            "82 M",
        ),
        Size(
            {"channels": 416, "repeats": 6, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            317_541_696,
            37_406_500_256,
            "318 M",
        ),
    ),
)
