"""A space of one small network with everything a recipe may ask for; workers find it as `tests.regularized:Space`."""

from dataclasses import dataclass

from torch import nn

from netwright.core.genes import Choice
from netwright.core.records import LabeledGraph
from netwright.plans import counting, network
from netwright.plans.plan import AUXILIARY, PlanWriter
from netwright.spaces.nasnet import NasnetSpace


@dataclass(frozen=True)
class Space:
    """Two residual cells with drop path, an auxiliary head after the first, dropout before the classifier."""

    channels: int = 4
    auxiliary: bool = True
    has_noise: bool = True
    is_double: bool = False  # where rounding is so small that no ReLU goes the other way for it

    genes = (Choice("none", ("a", "b")),)

    def sample(self, rng):
        return (0,)

    def mutate(self, genotype, rng):
        return genotype

    def check(self, genotype):
        assert genotype == (0,)

    def key(self, genotype):
        return "k"

    def plan(self, genotype, io):
        plan = PlanWriter(io)
        x = plan.norm(plan.conv(plan.image, self.channels, 3))
        for cell in range(2):
            with plan.scope(f"cell{cell}"):
                branch = plan.norm(plan.conv(plan.relu(x), self.channels, 3, stride=1))
                x = plan.add((x, plan.drop_path(branch, (cell + 1) / 2) if self.has_noise else branch))
            if cell == 0 and self.auxiliary:
                with plan.scope(AUXILIARY):
                    plan.linear(plan.mean(plan.relu(plan.norm(plan.conv(x, 6)))), io.outputs)
        features = plan.mean(plan.relu(x))
        plan.linear(plan.dropout(features) if self.has_noise else features, io.outputs)
        return plan.plan()

    def graph(self, genotype):
        return LabeledGraph("small", ("input", "output"), ((0, 1, "all"),))

    def build(self, genotype, io, rng):
        built = network.build(self.plan(genotype, io), rng)
        return _Double(built).double() if self.is_double else built

    def count(self, genotype, io):
        return counting.count(self.plan(genotype, io))


class DoubleNasnet(NasnetSpace):
    """The NASNet space in double precision."""

    def build(self, genotype, io, rng):
        return _Double(super().build(genotype, io, rng)).double()


class _Double(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.draws, self.regularize = network.draws, network.regularize

    def forward(self, images):
        return self.network(images.double())

    def with_auxiliary(self, images):
        return self.network.with_auxiliary(images.double())
