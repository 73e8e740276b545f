"""NAONet-A, the cell of NAO's search without shared weights (Luo et al. 2018).

This is the form of the PyTorch program, whose published results are 2.48 % (36 channels), 1.93 % (128 channels) and the
ImageNet model; `naonet` is the form of the TensorFlow program.
"""

from netwright.core.records import IO
from netwright.spaces.nao import NaoSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE = "identity"
CONV1 = "conv 1x1"
CONV3 = "conv 3x3"
PAIR3 = "conv 1x3 3x1"
PAIR7 = "conv 1x7 7x1"
MAX2 = "max pool 2x2"
MAX3 = "max pool 3x3"
AVG2 = "avg pool 2x2"
AVG3 = "avg pool 3x3"
AVG5 = "avg pool 5x5"

# an operation and the state that it reads, twice; rows are states 2 to 6, and state 0 is the cell before the last
NORMAL = (
    (CONV3, 0, AVG5, 1),
    (PAIR3, 2, CONV3, 1),
    (CONV1, 0, CONV3, 1),
    (PAIR3, 0, CONV3, 4),
    (NONE, 1, CONV3, 0),
)
REDUCTION = (
    (CONV3, 0, AVG2, 1),
    (CONV1, 0, AVG3, 0),
    (PAIR7, 0, MAX2, 1),
    (AVG3, 0, CONV1, 2),
    (MAX3, 1, CONV3, 0),
)

SPACE = NaoSpace(operations="large", channels=36, repeats=6)

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, REDUCTION),
    io=CIFAR,
    source="Luo et al. 2018; the cell as in the PyTorch program that it was published with",
    params="144.6 M",
    note="published for CIFAR-10, 128 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 11_470_150, 1_673_814_240, ""),
        Size({"channels": 64, "repeats": 6}, CIFAR, 36_186_058, 5_285_944_832, ""),
        Size({"channels": 128, "repeats": 6}, CIFAR, 144_576_394, 21_133_147_136, "144.6 M"),
        Size({"channels": 32, "repeats": 3}, CIFAR, 4_922_602, 718_835_456, ""),
        Size({"channels": 20, "repeats": 3}, CIFAR, 1_928_950, 281_418_080, ""),
        Size({"channels": 36, "repeats": 6}, IO(3, 32, 32, 100), 11_509_120, 1_673_853_120, ""),
        Size({"channels": 128, "repeats": 6}, IO(3, 32, 32, 100), 144_714_724, 21_133_285_376, ""),
        Size(
            {"channels": 42, "repeats": 4, "skeleton": "imagenet"},
            IO(3, 224, 224, 1000),
            11_353_831,
            1_243_996_992,
            "",
        ),
    ),
)
