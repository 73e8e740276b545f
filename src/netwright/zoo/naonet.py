"""NAONet, the cell of NAO's search without shared weights as its TensorFlow program has it (Luo et al. 2018).

Its published errors are 2.10 % on CIFAR-10 and 14.80 % on CIFAR-100. It differs from NAONet-A in the inputs of state 4
of the reduction cell, which are exchanged; neither form is said to be the right one. No size that is printed for it can
be reproduced by the program's rules, so that no printed size stands here.
"""

from netwright.spaces.nao import NaoSpace
from netwright.zoo.naonet_a import MAX2, NORMAL, PAIR7, REDUCTION
from netwright.zoo.published import CIFAR, Published, Size

SPACE = NaoSpace(operations="large", channels=36, repeats=6, flavor="tensorflow")

plugin = Published(
    space=SPACE,
    genotype=SPACE.encode(NORMAL, (*REDUCTION[:2], (PAIR7, 1, MAX2, 0), *REDUCTION[3:])),
    io=CIFAR,
    source="Luo et al. 2018; the cell as in the TensorFlow program that it was published with",
    params="145.2 M",
    note="counted, not printed: CIFAR-10, 128 channels and 6 repeats",
    sizes=(
        Size({"channels": 36, "repeats": 6}, CIFAR, 11_523_214, 1_709_646_048, ""),
        Size({"channels": 64, "repeats": 6}, CIFAR, 36_353_866, 5_399_191_040, ""),
        Size({"channels": 128, "repeats": 6}, CIFAR, 145_247_882, 21_586_131_968, "145.2 M"),
        Size({"channels": 32, "repeats": 3}, CIFAR, 4_964_522, 747_147_008, ""),
    ),
)
