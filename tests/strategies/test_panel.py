import pytest

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.records import Result, Trial
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.panel import GenotypePanel
from netwright.testing.toys import ToySpace

SPACE = ToySpace(length=6)


def _play(strategy, workers):
    """All proposals by trial, with so many trials in flight at a time; of two that run, the later one ends first."""
    pending, asked = [], {}
    while True:
        n = len(asked) + 1
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), tuple(pending))
        if proposal is not None:
            asked[n] = proposal
            pending.append(Trial(n, proposal, str(n), n, "pending"))
        if proposal is None and not pending:
            return asked
        if proposal is None or len(pending) == workers:
            ended = pending.pop()
            failed = Result(failure="error") if ended.id % 5 == 0 else Result({"valid_accuracy": 1.0})
            row = Trial(ended.id, ended.proposal, ended.key, ended.seed, "done", failed, None, n)
            strategy.tell(row, seeds.rng_for(0, seeds.TELL, n))


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_network_is_measured_at_every_budget_and_so_often(workers):
    asked = _play(GenotypePanel(SPACE, genotypes=4, repeats=3, budgets=(1, 2, 4)), workers)
    assert len(asked) == 4 * 3 * 3
    first = {n: asked[n].genotype for n in range(1, 5)}
    for n, proposal in asked.items():
        step, which = divmod(n - 1, 4)
        assert proposal.genotype == first[which + 1]
        assert proposal.budget == (1, 2, 4)[step % 3]
        assert proposal.continues == (None if step % 3 == 0 else n - 4), "the seed, thus the network, of before"


def test_how_many_workers_there_are_changes_nothing():
    panels = [_play(GenotypePanel(SPACE, genotypes=5, repeats=2, budgets=(1, 3)), workers) for workers in (1, 3)]
    assert panels[0] == panels[1]


def test_without_budgets_the_length_is_the_evaluators():
    asked = _play(GenotypePanel(SPACE, genotypes=2, repeats=2), 1)
    assert [proposal.budget for proposal in asked.values()] == [None] * 4
    assert asked[1].genotype == asked[3].genotype != asked[2].genotype == asked[4].genotype


def test_generators_are_drawn_too():
    assert len(_play(GenotypePanel(HnagSpace(), genotypes=2, repeats=2), 1)) == 4


@pytest.mark.parametrize("budgets", [(0, 2), (2, 2), (4, 1)])
def test_budgets_that_do_not_rise_are_refused(budgets):
    with pytest.raises(BadReference, match=r"strategy\.budgets"):
        GenotypePanel(SPACE, budgets=budgets)


def test_a_panel_of_nothing_is_refused():
    with pytest.raises(BadReference, match="genotypes"):
        GenotypePanel(SPACE, genotypes=0)
