from netwright.core.records import IO, Counts
from netwright.layers import counting
from netwright.layers.plan import PlanWriter


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
