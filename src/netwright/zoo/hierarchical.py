"""The cell found by hierarchical evolution (Liu et al. 2018, appendix A).

Four edges carry no label in the published drawing; identity on all of them gives the published 15.7 M parameters, and
leaving any of them out does not.
"""

from netwright.core.records import IO
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.zoo.published import CIFAR, Published, Size

NONE, CONV, DEPTHWISE, SEPARABLE, MAX, AVG, IDENTITY = range(7)

# edges 1->2, 1->3, 2->3, 1->4, 2->4, 3->4
MOTIFS = (
    (MAX, CONV, DEPTHWISE, SEPARABLE, CONV, MAX),
    (MAX, DEPTHWISE, DEPTHWISE, CONV, SEPARABLE, SEPARABLE),
    (SEPARABLE, DEPTHWISE, SEPARABLE, SEPARABLE, IDENTITY, AVG),
    (AVG, SEPARABLE, SEPARABLE, IDENTITY, MAX, AVG),
    (IDENTITY, SEPARABLE, IDENTITY, SEPARABLE, IDENTITY, SEPARABLE),
    (DEPTHWISE, MAX, MAX, SEPARABLE, IDENTITY, AVG),
)
# edges 1->2, 1->3, 2->3, 1->4, 2->4, 3->4, 1->5, 2->5, 3->5, 4->5
CELL = (5, 3, 3, 3, 1, 3, 4, 5, 5, 5)

plugin = Published(
    space=HierarchicalSpace(),
    genotype=tuple(value for motif in MOTIFS for value in motif) + CELL,
    io=CIFAR,
    source='Liu et al. 2018, "Hierarchical Representations for Efficient Architecture Search", appendix A',
    params="15.7 M",
    note="published for 64 channels and 2 repeats",
    sizes=(
        Size({"channels": 64, "repeats": 2}, CIFAR, 15_727_306, 2_304_281_088, "15.7 M"),
        Size({"channels": 128, "repeats": 2}, CIFAR, 61_896_074, 9_004_192_768, "61.3 M"),
        Size({"skeleton": "imagenet"}, IO(3, 299, 299, 1000), 62_832_520, 15_417_190_272, "64 M"),
    ),
)
