import numpy as np
import pytest

from netwright.core import refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.records import Result, Trial
from netwright.core.refs import Reference
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.listed import Listed
from netwright.testing.toys import ToySpace

SPACE = ToySpace(length=2)
GENOTYPES = ((0, 1), (2, 3), (1, 1))


def _play(strategy, workers):
    """All proposals, with so many trials in flight at a time."""
    pending, asked = [], []
    while True:
        n = len(asked) + 1
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), tuple(pending))
        if proposal is not None:
            asked.append(proposal.genotype)
            pending.append(Trial(n, proposal, str(n), n, "pending"))
        if proposal is None and not pending:
            return asked
        if proposal is None or len(pending) == workers:
            failed = len(asked) % 2  # whether a trial fails changes nothing
            result = Result(failure="error") if failed else Result({"test_accuracy": 1.0})
            pending.pop(0)
            row = Trial(n, None, "", n, "failed" if failed else "done", result, None, n)
            strategy.tell(row, seeds.rng_for(0, seeds.TELL, n))


@pytest.mark.parametrize("workers", [1, 2, 7, 50])
def test_all_are_asked_in_order_round_after_round(workers):
    assert _play(Listed(SPACE, GENOTYPES, repeats=3), workers) == list(GENOTYPES) * 3


def test_at_the_end_nothing_more_is_asked():
    strategy = Listed(SPACE, GENOTYPES[:1])
    assert strategy.ask(seeds.rng_for(0, seeds.ASK), ()).genotype == (0, 1)
    assert _play(strategy, 1) == [(0, 1)]
    assert strategy.ask(seeds.rng_for(0, seeds.ASK), ()) is None


def test_an_empty_list_is_over_at_once():
    assert Listed(SPACE).ask(seeds.rng_for(0, seeds.ASK), ()) is None


def test_an_invalid_genotype_is_refused_before_anything_is_asked():
    with pytest.raises(InvalidGenotype, match=r"gene 1 \(gene 1\) is 4"):
        Listed(SPACE, (*GENOTYPES, (0, 4)))


def test_of_a_generator_is_asked_whether_it_is_one_not_whether_its_network_of_seed_0_fits():
    space = HnagSpace(limit=700)
    genotype = next(g for g in map(space.sample, map(np.random.default_rng, range(10))) if _is_refused(space, g))
    assert Listed(space, (genotype,)).genotypes == (genotype,)
    with pytest.raises(InvalidGenotype, match=r"gene 0 \(n_top\) is 2"):
        Listed(space, (genotype, (2, *genotype[1:])))


def _is_refused(space, genotype):
    try:
        space.check(genotype)
    except InvalidGenotype:
        return True
    return False


def test_no_repeats_are_refused():
    with pytest.raises(BadReference, match=r"strategy\.repeats is 0; it must be at least 1"):
        Listed(SPACE, GENOTYPES, repeats=0)


def test_genotypes_of_a_run_file_keep_their_types():
    """TOML holds lists; a whole number stays one."""
    loaded = refs.load("strategy", Reference("listed", {"genotypes": [[0, 1], [2, 3]]}), space=SPACE)
    assert loaded.genotypes == ((0, 1), (2, 3))
    assert {type(value) for genotype in loaded.genotypes for value in genotype} == {int}
