"""A strategy with budgets, played by hand: workers, failures and the order of finishing are the test's."""

from dataclasses import dataclass, field

from netwright.core import seeds
from netwright.core.records import Result, Trial
from netwright.testing.toys import ToySpace

SPACE = ToySpace()


@dataclass
class Played:
    strategy: object
    score: object = sum  # of a trial's genotype; None: it fails
    space: object = SPACE
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
        scores, status = (None, "failed") if score is None else ((score,), "done")
        row = Trial(row.id, row.proposal, row.key, 1, status, Result({"valid_accuracy": 0.0}), scores, finish)
        self.strategy.tell(row, seeds.rng_for(0, seeds.TELL, finish))
        self.finished.append(row)
        return row

    def run(self, trials, workers=1):
        for _ in range(trials):
            while len(self.pending) < workers and self.ask() is not None:
                pass
            if not self.pending:
                break
            self.finish()
        return self.finished

    def by_id(self, trial_id):
        return next(trial for trial in (*self.finished, *self.pending) if trial.id == trial_id)


def check_promotions(trials, ladder):
    """Each goes one rung up, with the genotype of the one it continues, and none is continued twice."""
    by_id, seen = {trial.id: trial for trial in trials}, set()
    for trial in trials:
        asked = trial.proposal
        assert asked.budget == ladder[int(asked.notes["rung"])]
        if asked.continues is None:
            continue
        before = by_id[asked.continues]
        assert asked.parents == (before.id,)
        assert asked.genotype == before.proposal.genotype
        assert asked.notes["rung"] == before.proposal.notes["rung"] + 1
        assert before.scores is not None
        assert before.id not in seen
        seen.add(before.id)
