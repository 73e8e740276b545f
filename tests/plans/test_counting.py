import numpy as np
import torch

from netwright.core.records import IO, Counts
from netwright.plans import counting
from netwright.plans.kept import kept_bytes
from netwright.plans.network import build
from netwright.plans.ops.images import AvgPool, Conv, GroupNorm, Halve, MaxPool, Mean, MinPool, Norm, OddPixels
from netwright.plans.ops.merges import Add, Average, Concat, Gate, ScaleChannels, WeightedSum
from netwright.plans.ops.pointwise import Gelu, Relu, Silu, Zero
from netwright.plans.plan import AUXILIARY, PlanWriter, deployed

OPERATIONS = (
    *(Conv(6, (3, 3), (2, 2)), Conv(8, (3, 3), groups=8), Norm(), GroupNorm(4), Mean(), Halve(), OddPixels()),
    *(
        MaxPool(3),
        MaxPool(5, 2),
        MaxPool(2, 2),
        MaxPool(3, zeros=True),
        MaxPool(2, zeros=True),
        MinPool(3),
        MinPool(2, 2),
    ),
    *(AvgPool(3), AvgPool(3, zeros=True), AvgPool(2, zeros=True), AvgPool(2, 2), AvgPool(3, 3, padded=False)),
    *(Concat(), Add(), Average(), WeightedSum(), Gate(), ScaleChannels(), Relu(), Gelu(), Silu(), Zero()),
)


def test_counts_by_hand():
    writer = PlanWriter(IO(3, 25, 31, 10))
    x = writer.conv(0, 8, 3, stride=2)  # 3*3*3*8 weights at 13*16 places
    x = writer.relu(writer.norm(x))  # scale and shift
    x = writer.conv(x, 12, 5, groups=4)  # 5*5*2*12
    x = writer.concat((writer.max_pool(x, 3), writer.avg_pool(x, 3)))
    writer.linear(writer.mean(x), 10)  # 24*10 and 10 biases
    assert counting.count(writer.plan()) == Counts(
        216 + 16 + 600 + 250,
        (216 + 600) * 13 * 16 + 240,
        # image; first convolution and what ReLU writes over its normalization; second one; indices of 8 bytes; means
        4 * (3 * 25 * 31 + (8 + 8 + 12) * 13 * 16) + 8 * 12 * 13 * 16 + 4 * 24,
    )


def test_biases_and_learned_numbers_are_counted():
    writer = PlanWriter(IO(3, 4, 4, 10))
    x = writer.conv(0, 8, 3, bias=True)
    y = writer.weighted_sum((x, x, x))
    writer.gate(writer.average((x, y)), y)
    assert counting.count(writer.plan()) == Counts(
        216 + 8 + 3 + 1,
        216 * 16,
        # image; what is summed; mean and sum, which is the mask; what gates, the scaled mask and 4 numbers of it
        4 * (3 * 16 + 8 * 16 + (8 + 8) * 16 + (8 + 8) * 16 + 4),
    )


def test_a_plan_of_nothing_costs_nothing():
    writer = PlanWriter(IO(3, 25, 31, 10))
    writer.mean(writer.add((writer.relu(0), writer.max_pool(0, 3))))
    assert counting.count(writer.plan()) == Counts(0, 0, 0)


def test_windows_biases_and_what_only_trains():
    writer = PlanWriter(IO(3, 9, 9, 10))
    x = writer.conv(0, 8, (1, 7), (1, 2), bias=True)  # 7*3*8 weights and 8 biases at 9*5 places
    x = writer.drop_path(writer.conv(x, 8, 3, groups=8, dilation=2), 1.0)  # 9*8, however far apart
    with writer.scope(AUXILIARY):
        writer.linear(writer.mean(writer.norm(writer.conv(x, 4, writer.size(x), padded=False))), 10)  # 45*8*4, 8, 50
    writer.linear(writer.dropout(writer.mean(x)), 10)
    plan = writer.plan()
    kept = 4 * (3 * 81 + 8 * 45 + 8)  # image, what the second convolution reads, means
    assert counting.count(plan) == Counts(168 + 8 + 72 + 90, (168 + 72) * 45 + 80, kept)
    more = 4 * (8 * 45 + 4 + 4)  # what the first convolution of the head reads, it, and means
    assert counting.count(plan, auxiliary=True) == Counts(338 + 1440 + 8 + 50, 10_880 + 1440 + 40, kept + more)
    assert counting.count(deployed(plan)) == counting.count(plan)


def test_a_classifier_without_bias():
    writer = PlanWriter(IO(3, 9, 9, 10))
    writer.linear(writer.mean(writer.image), 10, bias=False)
    assert counting.count(writer.plan()) == Counts(30, 30, 12)


def test_the_memory_of_training_is_that_of_the_whole_plan():
    writer = PlanWriter(IO(1, 4, 4, 2))
    x = writer.conv(0, 2)
    alone = counting.training_bytes(writer.plan(), 8)
    writer.drop_path(x, 1.0)
    assert counting.training_bytes(writer.plan(), 8) == alone, "it needs no memory of its own"
    with writer.scope(AUXILIARY):
        writer.conv(x, 2)
    assert counting.training_bytes(writer.plan(), 8) == alone + 4 * (3 * 8 * 32 // 2 + 3 * 4)


def test_counted_memory_is_what_torch_keeps_of_each_operation():
    """Each operation alone behind a convolution, with ReLU over it or with another reader beside that."""
    for op in OPERATIONS:
        for others in (0, 1):
            writer = PlanWriter(IO(3, 9, 7, 10))
            x = writer.conv(0, 8, 3)
            made = writer.write(op, *[x, writer.mean(x)][: op.fewest]) if op.name == "scale_channels" else None
            made = writer.write(op, *[x, writer.conv(x, 8)][: op.fewest]) if made is None else made
            y = writer.relu(made)
            y = writer.add((y, made)) if others else y
            writer.linear(y if op.name == "mean" else writer.mean(y), 10)
            network = build(writer.plan(), np.random.default_rng(0))
            measured = kept_bytes(network, torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0)))
            assert counting.count(writer.plan()).memory_per_sample == measured, (op, others)


def test_two_readers_that_keep_a_tensor_keep_it_once():
    writer = PlanWriter(IO(3, 4, 4, 10))
    x = writer.conv(0, 8, 3)
    once = writer.conv(x, 8)
    one = counting.count(writer.plan()).memory_per_sample
    writer.add((once, writer.conv(x, 8)))
    assert counting.count(writer.plan()).memory_per_sample == one == 4 * (3 * 16 + 8 * 16)


def test_what_only_trains_is_left_out_unless_asked_for():
    writer = PlanWriter(IO(3, 4, 4, 10))
    x = writer.dropout(writer.mean(writer.drop_path(writer.norm(writer.conv(0, 8, 3)), 0.5)))
    writer.linear(x, 10)
    plan = writer.plan()
    network = build(plan, np.random.default_rng(0))
    assert counting.count(plan).memory_per_sample == kept_bytes(network, torch.zeros(2, 3, 4, 4))
    assert counting.count(plan).memory_per_sample == counting.count(deployed(plan)).memory_per_sample
