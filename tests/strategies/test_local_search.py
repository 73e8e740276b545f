from collections import Counter
from dataclasses import dataclass, field

import pytest

from netwright.controller import Search
from netwright.core import constraints, genes, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import IO, Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies.local_search import NEAR, LocalSearch, neighbors
from netwright.testing.strategies import check_strategy
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask


@dataclass(frozen=True)
class Mixed:
    """Any genes; no network."""

    genes: tuple = (Choice("operation", ("a", "b", "c")), Integer("width", 1, 100), Real("rate", 0.0, 2.0))

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def check(self, genotype):
        genes.check(self.genes, genotype)

    def key(self, genotype):
        return genes.to_json(genotype)


@dataclass
class Played:
    """A strategy and what it has been told, by hand."""

    space: object
    strategy: LocalSearch
    score: object
    finished: list = field(default_factory=list)
    pending: list = field(default_factory=list)
    asked: int = 0

    def ask(self):
        rng = seeds.rng_for(0, seeds.ASK, self.asked + 1)
        proposal = self.strategy.ask(rng, tuple(self.pending))
        if proposal is not None:
            self.asked += 1
            key = self.space.key(proposal.genotype)
            self.pending.append(Trial(self.asked, proposal, key, 1, "pending"))
        return proposal

    def finish(self, position=0):
        row = self.pending.pop(position)
        score, finish = self.score(row.proposal.genotype), len(self.finished) + 1
        scores = None if score is None else (score,)
        status = "failed" if score is None else "done"
        row = Trial(row.id, row.proposal, row.key, 1, status, Result({"valid_accuracy": 0.0}), scores, finish)
        self.strategy.tell(row, seeds.rng_for(0, seeds.TELL, finish))
        self.finished.append(row)
        return row

    def run(self, trials):
        for _ in range(trials):
            if self.ask() is None:
                break
            self.finish()
        return self.finished


def played(space, score=sum, **options):
    return Played(space, LocalSearch(space, **options), score)


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("valid_accuracy", "-params")}, "local_search climbs one objective, the run has 2"),
        ({"objectives": ()}, "local_search climbs one objective, the run has 0"),
        ({"initial": 0}, "strategy.initial is 0; it must be at least 1"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        LocalSearch(ToySpace(), **options)


@pytest.mark.parametrize("initial", [1, 10])
def test_keeps_the_contracts(initial):
    check_strategy(lambda space: LocalSearch(space, initial=initial))


def test_climbs_from_the_best_of_the_start():
    search = played(ToySpace(), initial=4)
    starts = search.run(4)
    best = max(starts, key=lambda row: row.scores)
    assert all(row.proposal.parents == () for row in starts)
    child = search.ask()
    assert child.parents == (best.id,)
    assert distance(child.genotype, best.proposal.genotype) == 1


def test_moves_to_the_first_neighbor_that_is_better():
    incumbent, search = None, played(ToySpace(), initial=1)
    for row in search.run(60):
        if incumbent is not None:
            assert row.proposal.parents == (incumbent.id,)
            assert distance(row.proposal.genotype, incumbent.proposal.genotype) == 1
        if incumbent is None or row.scores > incumbent.scores:
            incumbent = row


def test_the_top_of_a_single_hill_is_reached():
    space = ToySpace(length=6, options=5)
    assert max(row.scores[0] for row in played(space).run(120)) == 24


def test_where_no_neighbor_is_better_the_next_climb_starts():
    space = ToySpace(length=2, options=3)
    search = played(space, initial=1, score=lambda genotype: genotype.count(0) == 2 or sum(genotype) - 5)
    seen = search.run(9)
    assert len({row.key for row in seen}) == 9, "every network once"
    fresh = [row.id for row in seen if not row.proposal.parents]
    assert fresh[0] == 1
    assert len(fresh) > 1


def test_all_neighbors_of_a_peak_are_tried_before_the_next_climb():
    space = ToySpace(length=3, options=4)
    search = played(space, initial=1, score=lambda _: 0.0)  # flat: the first start is a peak
    seen = search.run(11)
    start = seen[0].proposal.genotype
    assert Counter(distance(row.proposal.genotype, start) for row in seen[:10]) == {0: 1, 1: 9}
    assert seen[10].proposal.parents == ()


def test_neighbors_that_are_the_same_network_are_evaluated_once():
    @dataclass(frozen=True)
    class Halved(ToySpace):
        def key(self, genotype):
            return str(genotype[: self.length // 2])  # the second half does nothing

    search = played(Halved(length=4, options=3), initial=1)
    seen = search.run(50)
    assert len(seen) == len({row.key for row in seen}) == 9


def test_ends_when_the_space_is_exhausted():
    space, store = ToySpace(length=3, options=3), MemoryStore()
    executor = Inline(ToyEvaluator(space, ToyTask()))
    assert Search(space, LocalSearch(space), store, executor, limits=Limits(trials=100)).run() == "exhausted"
    assert len({row.proposal.genotype for row in store.finished()}) == len(store.finished()) == 27


def test_a_space_of_one_network_is_exhausted_after_it():
    assert len(played(ToySpace(length=2, options=1)).run(5)) == 1


def test_nothing_is_asked_twice_while_it_is_evaluated():
    space = ToySpace(length=3, options=3)
    search = played(space, initial=2)
    while search.ask() is not None:
        if len(search.pending) > 7:
            search.finish(len(search.pending) // 2)
    keys = [row.key for row in (*search.finished, *search.pending)]
    assert len(keys) == len(set(keys)) == 27


def test_workers_that_find_no_neighbor_left_sample_for_the_next_start():
    search = played(ToySpace(length=2, options=3), initial=1, score=lambda _: 0.5)
    search.run(1)
    proposals = [search.ask() for _ in range(6)]
    assert [proposal.parents for proposal in proposals] == [(1,)] * 4 + [()] * 2
    for _ in range(4):
        search.finish()
    assert search.strategy._incumbent is None, "all neighbors are told, none is better"
    climbed_from = search.finish()
    assert search.ask().parents == (climbed_from.id,)


def test_samples_that_finish_before_the_climb_ends_are_starts_of_the_next():
    search = played(ToySpace(length=2, options=3), initial=2, score=lambda _: 0.5)
    search.run(2)
    while search.ask().parents:
        pass
    search.ask()
    samples = [search.finish(len(search.pending) - 1).id for _ in range(2)]
    while search.pending:
        search.finish()
    assert search.ask().parents == (samples[0],)


def told(strategy, listed):
    """Tell (genotype, score, parents) by hand."""
    for number, (genotype, score, parents) in enumerate(listed, start=1):
        proposal, key = Proposal(genotype, parents), ToySpace().key(genotype)
        row = Trial(number, proposal, key, 1, "done", Result({"valid_accuracy": score}), (score,), number)
        strategy.tell(row, seeds.rng_for(0, seeds.TELL, number))
    return strategy


def test_a_sample_better_than_the_incumbent_is_moved_to():
    strategy = LocalSearch(ToySpace(length=2, options=3), initial=1)
    told(strategy, [((0, 0), 0.1, ()), ((2, 2), 0.5, ())])
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 3), ()).parents == (2,)


def test_a_neighbor_that_finishes_after_its_climb_does_not_stand_for_a_fresh_start():
    strategy = LocalSearch(ToySpace(length=2, options=3), initial=1)
    told(
        strategy, [((0, 0), 0.1, ()), ((1, 0), 0.9, (1,)), *(((a, b), 0.2, (2,)) for a, b in ((2, 0), (1, 1), (1, 2)))]
    )
    assert strategy._incumbent is None, "all neighbors of (1, 0) are known"
    late = Trial(6, Proposal((0, 1), (1,)), ToySpace().key((0, 1)), 1, "done", Result({"a": 0.3}), (0.3,), 6)
    strategy.tell(late, seeds.rng_for(0, seeds.TELL, 6))
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 7), ()).parents == ()


def test_a_neighbor_of_an_earlier_incumbent_that_finishes_late_counts():
    search = played(ToySpace(length=4, options=3), initial=1)
    search.run(1)
    for _ in range(6):
        search.ask()
    ranked = sorted(range(6), key=lambda position: search.score(search.pending[position].proposal.genotype))
    better, best = search.pending[ranked[-2]], search.pending[ranked[-1]]
    search.finish(search.pending.index(better))
    search.finish(search.pending.index(best))
    top = max(search.finished, key=lambda row: row.scores)
    assert search.ask().parents == (top.id,)


def test_failed_trials_are_neither_starts_nor_tried_again():
    odd = played(ToySpace(length=4, options=4), initial=2, score=lambda g: None if sum(g) % 2 else float(sum(g)))
    seen = odd.run(150)
    assert len({row.key for row in seen}) == len(seen) == 150
    failed = {row.id for row in seen if row.scores is None}
    assert not failed & {parent for row in seen for parent in row.proposal.parents}
    nothing = played(ToySpace(length=4, options=4), score=lambda _: None).run(30)
    assert all(row.proposal.parents == () for row in nothing)


def test_neighbors_that_the_space_refuses_are_passed_over():
    @dataclass(frozen=True)
    class Even(ToySpace):
        def sample(self, rng):
            genotype = super().sample(rng)
            return genotype if sum(genotype) % 2 == 0 else self.sample(rng)

        def check(self, genotype):
            if sum(genotype) % 2:
                raise InvalidGenotype("odd")

    seen = played(Even(length=3, options=4), initial=1).run(40)
    assert len(seen) == 32, "half of all"
    assert all(sum(row.proposal.genotype) % 2 == 0 for row in seen)


def test_constraints_hold_for_neighbors():
    space = constraints.constrain(ToySpace(length=6, options=4), IO(1, 1, 1, 1), ("params <= 9",))
    assert max(sum(row.proposal.genotype) for row in played(space).run(150)) == 9


def test_numbers_are_climbed_too():
    space = Mixed()

    def score(genotype):
        operation, width, rate = genotype
        return (operation == 1) - abs(width - 60) / 100 - abs(rate - 0.3)

    seen = played(space).run(400)
    for row in seen:
        space.check(row.proposal.genotype)
        assert list(map(type, row.proposal.genotype)) == [int, int, float]
    assert max(row.scores[0] for row in played(space, score).run(400)) > 0.97


@pytest.mark.parametrize("seed", range(5))
def test_neighbors_differ_in_one_gene_and_are_of_the_space(seed):
    space, rng = Mixed(), seeds.rng_for(seed, seeds.TELL)
    genotype = space.sample(rng)
    found = neighbors(space.genes, genotype, rng)
    assert len(found) == len(set(found))
    operations, widths, rates = ([n for n in found if n[gene] != genotype[gene]] for gene in range(3))
    assert (len(operations), len(widths)) == (2, NEAR)
    assert NEAR // 2 <= len(rates) <= NEAR  # steps over the same end of the range are one
    for neighbor in found:
        space.check(neighbor)
        assert distance(neighbor, genotype) == 1
    near = {width for width in (genotype[1] - 1, genotype[1] + 1) if 1 <= width <= 100}
    assert near <= {neighbor[1] for neighbor in widths}


def test_neighbors_at_the_ends_of_a_range():
    listed = (Integer("few", 3, 5), Integer("one", 7, 7), Real("none", 1.0, 1.0), Choice("single", ("a",)))
    found = neighbors((*listed, Real("edge", 0.0, 1.0)), (3, 7, 1.0, 0, 1.0), seeds.rng_for(0, seeds.TELL))
    assert {neighbor[0] for neighbor in found} == {3, 4, 5}
    assert {neighbor[1:4] for neighbor in found} == {(7, 1.0, 0)}
    assert all(0.0 <= neighbor[4] <= 1.0 for neighbor in found)
    assert sum(neighbor[4] != 1.0 for neighbor in found) == NEAR // 2  # the steps up lead nowhere


def test_the_order_of_neighbors_is_random():
    listed, genotype = ToySpace(length=3, options=3).genes, (0, 0, 0)
    first = Counter(neighbors(listed, genotype, seeds.rng_for(0, seeds.TELL, n))[0] for n in range(1200))
    assert len(first) == 6
    assert min(first.values()) > 140
