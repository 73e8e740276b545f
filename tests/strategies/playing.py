"""A strategy played by hand, one trial at a time."""

from netwright.core import seeds
from netwright.core.records import Proposal, Result, Trial


def trial_of(space, n, genotype, score):
    scores, status = (None, "failed") if score is None else ((score,), "done")
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    return Trial(n, Proposal(genotype), space.key(genotype), 0, status, result, scores, n)


def play(space, strategy, score, trials, seed=0):
    found = []
    for n in range(1, trials + 1):
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, n), ())
        if proposal is None:
            break
        value = score(proposal.genotype)
        found.append((proposal.genotype, value))
        strategy.tell(trial_of(space, n, proposal.genotype, value), seeds.rng_for(seed, seeds.TELL, n))
    return found
