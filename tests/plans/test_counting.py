from netwright.core.records import IO, Counts
from netwright.plans import counting
from netwright.plans.plan import AUXILIARY, PlanWriter, deployed


def test_counts_by_hand():
    writer = PlanWriter(IO(3, 25, 31, 10))
    x = writer.conv(0, 8, 3, stride=2)  # 3*3*3*8 weights at 13*16 places
    x = writer.relu(writer.norm(x))  # scale and shift
    x = writer.conv(x, 12, 5, groups=4)  # 5*5*2*12
    x = writer.concat((writer.max_pool(x, 3), writer.avg_pool(x, 3)))
    writer.linear(writer.mean(x), 10)  # 24*10 and 10 biases
    assert counting.count(writer.plan()) == Counts(216 + 16 + 600 + 250, (216 + 600) * 13 * 16 + 240)


def test_biases_and_learned_numbers_are_counted():
    writer = PlanWriter(IO(3, 4, 4, 10))
    x = writer.conv(0, 8, 3, bias=True)
    y = writer.weighted_sum((x, x, x))
    writer.gate(writer.average((x, y)), y)
    assert counting.count(writer.plan()) == Counts(216 + 8 + 3 + 1, 216 * 16)


def test_a_plan_of_nothing_costs_nothing():
    writer = PlanWriter(IO(3, 25, 31, 10))
    writer.mean(writer.add((writer.relu(0), writer.max_pool(0, 3))))
    assert counting.count(writer.plan()) == Counts(0, 0)


def test_windows_biases_and_what_only_trains():
    writer = PlanWriter(IO(3, 9, 9, 10))
    x = writer.conv(0, 8, (1, 7), (1, 2), bias=True)  # 7*3*8 weights and 8 biases at 9*5 places
    x = writer.drop_path(writer.conv(x, 8, 3, groups=8, dilation=2), 1.0)  # 9*8, however far apart
    with writer.scope(AUXILIARY):
        writer.linear(writer.mean(writer.norm(writer.conv(x, 4, writer.size(x), padded=False))), 10)  # 45*8*4, 8, 50
    writer.linear(writer.dropout(writer.mean(x)), 10)
    plan = writer.plan()
    assert counting.count(plan) == Counts(168 + 8 + 72 + 90, (168 + 72) * 45 + 80)
    assert counting.count(plan, auxiliary=True) == Counts(338 + 1440 + 8 + 50, 10_880 + 1440 + 40)
    assert counting.count(deployed(plan)) == counting.count(plan)


def test_a_classifier_without_bias():
    writer = PlanWriter(IO(3, 9, 9, 10))
    writer.linear(writer.mean(writer.image), 10, bias=False)
    assert counting.count(writer.plan()) == Counts(30, 30)


def test_the_memory_of_training_is_that_of_the_whole_plan():
    writer = PlanWriter(IO(1, 4, 4, 2))
    x = writer.conv(0, 2)
    alone = counting.training_bytes(writer.plan(), 8)
    writer.drop_path(writer.relu(x), 1.0)
    assert counting.training_bytes(writer.plan(), 8) == alone, "neither needs memory of its own"
    with writer.scope(AUXILIARY):
        writer.conv(x, 2)
    assert counting.training_bytes(writer.plan(), 8) == alone + 4 * (3 * 8 * 32 // 2 + 3 * 4)
