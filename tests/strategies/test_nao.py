"""The loop around the controller: when it learns, what it proposes, and that a resumed run is the undisturbed one."""

import copy
import gc
import itertools
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from netwright.controller import Search
from netwright.core import constraints, genes, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.protocols import LearnsAside
from netwright.core.records import IO, Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.executors.simulated import Simulated
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.nats import NatsTopology
from netwright.stores.memory import MemoryStore
from netwright.strategies import nao
from netwright.strategies.members import Member
from netwright.strategies.nao import Nao
from netwright.strategies.nao_rounds import Lesson, spelled
from netwright.surrogates import joint_training
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

SMALL = {"seeds": 8, "new": 8, "top": 4, "epochs": 40, "flavor": "pt2"}
SPACE = ToySpace(length=6)


@dataclass(frozen=True)
class GeneSpace(ToySpace):
    """Any genes; a genotype is valid unless `refused` says otherwise."""

    listed: tuple = ()
    refused: str = ""

    @property
    def genes(self):
        return self.listed

    def check(self, genotype):
        genes.check(self.listed, genotype)
        if self.refused == "odd" and int(sum(genotype)) % 2:
            raise InvalidGenotype("the sum is odd")

    def sample(self, rng):
        while True:
            genotype = genes.sample(self.listed, rng)
            if not (self.refused == "odd" and int(sum(genotype)) % 2):
                return genotype


class MirrorSpace(ToySpace):
    """A genotype and its mirror image are one network."""

    def equivalents(self, genotype, rng):
        return genotype[::-1] if rng.random() < 0.5 else genotype

    def key(self, genotype):
        return super().key(min(genotype, genotype[::-1]))


def total(genotype):
    return float(sum(genotype))


def trial_of(space, n, genotype, score):
    proposal = genotype if isinstance(genotype, Proposal) else Proposal(genotype)
    status = "failed" if score is None else "done"
    scores = None if score is None else (score,)
    return Trial(n, proposal, space.key(proposal.genotype), n, status, Result(), scores, n)


def history_of(space, count, score=total):
    drawn = [space.sample(seeds.rng_for(7, seeds.ASK, n)) for n in range(1, count + 1)]
    return [trial_of(space, n, genotype, score(genotype)) for n, genotype in enumerate(drawn, 1)]


def tell(strategy, trials):
    for trial in trials:
        strategy.tell(trial, seeds.rng_for(0, seeds.TELL, trial.finish))
    return strategy


def taught(strategy, trials):
    """Told, and what was learned is taken over, as by the next proposal."""
    tell(strategy, trials).ask(seeds.rng_for(0, seeds.ASK, 1), ())
    return strategy


def asked(strategy, count, space=SPACE):
    """Proposals of one state, each pending when the next is asked."""
    pending = []
    for n in range(1, count + 1):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 1000 + n), tuple(pending))
        pending.append(Trial(1000 + n, proposal, space.key(proposal.genotype), 0, "pending"))
    return [trial.proposal for trial in pending]


def play(strategy, space, count, score=total):
    for n in range(1, count + 1):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        trial = trial_of(space, n, proposal, score(proposal.genotype))
        strategy.tell(trial, seeds.rng_for(0, seeds.TELL, n))
        yield trial


def test_random_networks_first_then_rounds_of_moved_ones():
    trials = list(play(Nao(SPACE, **SMALL), SPACE, 32))
    rounds = [trial.proposal.notes.get("round") for trial in trials]
    assert rounds == [None] * 8 + [1.0] * 8 + [2.0] * 8 + [3.0] * 8
    steps = [trial.proposal.notes.get("step") for trial in trials]
    assert None not in (steps[8], steps[16], steps[24])
    assert steps[8:].count(None) <= 8, "only what the controller has no candidate for is random"
    assert len({trial.key for trial in trials}) == 32
    for trial in trials[8:]:
        if "step" in trial.proposal.notes:
            (parent,) = trial.proposal.parents
            assert 1 <= parent < trial.id
            assert 1 <= trial.proposal.notes["step"] <= 51


def test_candidates_are_new_networks_near_the_best():
    strategy = Nao(SPACE, **{**SMALL, "lag": 0, "surplus": 3})
    history = history_of(SPACE, 8)
    taught(strategy, history)
    candidates = strategy._round.candidates
    keys = [candidate.key for candidate in candidates]
    assert len(set(keys)) == len(keys) <= 8
    assert not set(keys) & {trial.key for trial in history}
    best = sorted(history, key=lambda trial: -trial.scores[0])[:4]
    moved = Counter(candidate.parent for candidate in candidates)
    assert sum(moved[trial.id] for trial in best) >= len(candidates) / 2


def test_the_controller_goes_on_from_the_round_before(monkeypatch):
    """Without training, the weights of the second round are those of the first."""
    history = history_of(SPACE, 16)
    strategy = taught(Nao(SPACE, **SMALL), history[:8])
    first = strategy._round.weights
    monkeypatch.setattr(joint_training, "train", lambda *_: (0.0, 0.0))
    second = taught(strategy, history[8:])._round.weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_move_goes_upwards():
    """Steps are taken along the gradient: what they lead to is predicted better than what they start from."""
    strategy = Nao(SPACE, **{**SMALL, "epochs": 150, "lag": 0})
    history = history_of(SPACE, 8)
    taught(strategy, history)
    student, genotypes = strategy._student(), [trial.proposal.genotype for trial in history]
    controller = EncoderPredictorDecoder(strategy._tokens, FLAVORS["pt2"], torch.Generator().manual_seed(0))
    controller.load_state_dict(strategy._round.weights)
    candidates = list(student._near(controller, [Member(0.0, n, g) for n, g in enumerate(genotypes)]))
    with torch.no_grad():
        before, after = (
            controller.predict(controller.encode(student._sequences(listed))).mean()
            for listed in (genotypes, [candidate.genotype for candidate in candidates])
        )
    assert after > before


def test_notes_say_how_good_the_controller_is():
    trials = list(play(Nao(SPACE, **SMALL), SPACE, 17))
    own = {"round", "step", "model_learned_pairwise_accuracy", "model_learned_kendall_tau", "model_learned_hamming"}
    assert trials[8].proposal.notes.keys() == own
    assert trials[16].proposal.notes.keys() == own | {
        "model_picked_pairwise_accuracy",
        "model_picked_kendall_tau",
        "model_picked_hamming",
    }
    assert all(math.isfinite(value) for trial in trials for value in trial.proposal.notes.values())


def test_it_climbs():
    """With enough epochs, the networks of the later rounds are far better than random ones."""
    space = ToySpace(length=8)
    options = {"seeds": 40, "new": 20, "top": 20, "epochs": 120, "lag": 0}
    scores = [trial.scores[0] for trial in play(Nao(space, **options), space, 100)]
    assert np.mean(scores[80:]) > np.mean(scores[:40]) + 4
    assert max(scores) > max(scores[:40])


def test_a_round_learns_from_what_had_finished_lag_trials_before():
    options = {**SMALL, "lag": 3}
    history = history_of(SPACE, 8)
    late = [replace(trial, scores=(-9.0,)) for trial in history[5:]]
    early = [*history[:4], replace(history[4], scores=(99.0,)), *history[5:]]
    first = asked(tell(Nao(SPACE, **options), history), 6)
    assert asked(tell(Nao(SPACE, **options), [*history[:5], *late]), 6) == first
    assert asked(tell(Nao(SPACE, **options), early), 6) != first


def test_nobody_waits_while_it_learns(monkeypatch):
    """Learning is held up: trials finish and are asked all the same, until the trial at which it is due."""
    may_learn, train = threading.Event(), joint_training.train

    def held_up(*arguments):
        assert may_learn.wait(60)
        return train(*arguments)

    monkeypatch.setattr(joint_training, "train", held_up)
    strategy, history = Nao(SPACE, **SMALL, lag=3), history_of(SPACE, 8)
    tell(strategy, history[:7])
    assert not strategy.ask(seeds.rng_for(0, seeds.ASK, 9), ()).notes
    may_learn.set()
    tell(strategy, history[7:])
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 9), ()).notes["round"] == 1


def test_the_default_lag_leaves_a_round_most_of_what_was_measured():
    assert Nao(SPACE)._lag == 50
    assert Nao(SPACE, seeds=20, new=200)._lag == 5
    assert Nao(SPACE, seeds=200, new=20)._lag == 5
    assert Nao(SPACE, seeds=3, new=200)._lag == 0
    strategy = Nao(SPACE, **{**SMALL, "seeds": 20, "new": 200})
    tell(strategy, history_of(SPACE, 15))
    assert strategy._seen == 15


@pytest.mark.parametrize("lag", [0, 2])
def test_a_round_without_members_begins_at_the_first_trial_that_gives_it_two(lag):
    """The trials due are failures: the round comes late, and those after it shift with it."""
    history = history_of(SPACE, 30)
    history[:11] = [trial_of(SPACE, trial.id, trial.proposal, None) for trial in history[:11]]
    strategy, rounds = Nao(SPACE, **{**SMALL, "epochs": 2}, lag=lag), []
    for trial in history:
        tell(strategy, [trial])
        rounds.append(asked(strategy, 1)[0].notes.get("round"))
    begun = 13  # the second that did not fail
    first = begun + lag - 1
    assert rounds == [None] * first + [1.0] * 8 + [2.0] * 8 + [3.0] * (30 - first - 16)


def test_the_largest_lag_has_every_round():
    """The next round begins to learn at the very trial at which this one is taken over, and goes on from it."""
    for options in ({"lag": 4, "new": 4}, {"lag": 6, "new": 6}):
        strategy = Nao(SPACE, **{**SMALL, "epochs": 2, **options})
        rounds = [trial.proposal.notes.get("round") for trial in play(strategy, SPACE, 8 + 3 * options["new"])]
        assert rounds[8:] == [number for number in (1.0, 2.0, 3.0) for _ in range(options["new"])]
        assert any(name.startswith("model_picked_") for name in strategy._round.notes), "it knows the round before"


@pytest.mark.parametrize("workers", [1, 4, 10, 20])
def test_workers_delay_a_round_by_as_many_proposals(workers):
    """What the documents say: with as many as `new`, the last round has no trial left."""
    space, store = ToySpace(length=8), MemoryStore()
    executor = Simulated(ToyEvaluator(space, ToyTask()), workers=workers, seconds=10.0, sigma=0.5)
    strategy = Nao(space, seeds=40, new=20, top=10, epochs=2, flavor="pt2")
    Search(space, strategy, store, executor, limits=Limits(trials=80)).run()
    rounds = Counter(trial.proposal.notes.get("round") for trial in store.finished())
    delay = workers if workers > 1 else 0
    assert rounds == Counter({None: 40 + delay, 1.0: 20, 2.0: 20 - delay})


@pytest.mark.parametrize(("lag", "told"), [(3, 8), (0, 8), (6, 8)])
def test_it_says_when_it_would_wait(monkeypatch, lag, told):
    may_learn, train = threading.Event(), joint_training.train

    def held_up(*arguments):
        assert may_learn.wait(60)
        return train(*arguments)

    monkeypatch.setattr(joint_training, "train", held_up)
    strategy, history = Nao(SPACE, **{**SMALL, "new": 6}, lag=lag), history_of(SPACE, 16)
    assert isinstance(strategy, LearnsAside)
    for trial in history[: told - (lag == 6)]:  # the next round begins at the trial at which this one is due
        assert strategy.is_ready()
        tell(strategy, [trial])
    assert not strategy.is_ready()
    may_learn.set()
    strategy._learning.result()
    assert strategy.is_ready()
    taught(strategy, history[told - (lag == 6) : told])
    assert strategy._round is not None


def test_a_search_that_is_stopped_does_not_wait_for_what_is_learned(monkeypatch):
    """Stopped while a round is learned, it ends at once; taken up, it is the undisturbed one."""
    whole = search(None, 20, MemoryStore())
    store, train = MemoryStore(), joint_training.train

    def endless(*arguments):
        for _ in range(30_000):  # a search that waited for it would see it fail
            if arguments[5]():
                break
            time.sleep(0.001)
        raise joint_training.LearningStopped

    monkeypatch.setattr(joint_training, "train", endless)
    strategy, impatient = Nao(SPACE, **SMALL), Impatient(store, 8)
    executor = Inline(ToyEvaluator(SPACE, ToyTask()))
    impatient.search = Search(SPACE, strategy, store, executor, limits=Limits(trials=20), seed=3, watchers=(impatient,))
    assert impatient.search.run() == "drained"
    assert len(store.finished()) == 8 and strategy._told == 8
    impatient.search = None
    del strategy
    gc.collect()
    monkeypatch.setattr(joint_training, "train", train)
    assert search(None, 20, store) == whole


class Impatient:
    """Stops a search when so many trials have finished."""

    def __init__(self, store, count):
        self.store, self.count, self.search = store, count, None

    def asked(self, trial):
        pass

    def told(self, trial):
        pass

    def tick(self):
        if len(self.store.finished()) >= self.count:
            self.search.drain()


def test_decoding_stops_when_told(monkeypatch):
    monkeypatch.setattr(joint_training, "train", lambda *_: (0.0, 0.0))
    strategy, asked_times = Nao(SPACE, **SMALL), itertools.count()
    tell(strategy, history_of(SPACE, 6))
    lesson = Lesson(1, tuple(strategy._members), (), 0, frozenset(), 0, None, "")
    with pytest.raises(joint_training.LearningStopped):
        strategy._student().learn(lesson, lambda: next(asked_times) >= 0)
    assert next(asked_times) == 1


def test_random_networks_of_a_round_have_its_notes():
    """After its candidates; those of the start have none."""
    strategy = tell(Nao(SPACE, **SMALL), history_of(SPACE, 8))
    proposals = asked(strategy, 40)
    learned = [proposal for proposal in proposals if proposal.parents]
    drawn = [proposal for proposal in proposals if not proposal.parents]
    assert 0 < len(learned) < 40
    assert all("step" in proposal.notes for proposal in learned)
    assert all(proposal.notes == strategy._round.notes for proposal in drawn)


def test_weights_that_are_not_finite_are_not_carried_over():
    strategy, history = Nao(SPACE, **SMALL), history_of(SPACE, 24)
    taught(strategy, history[:8])
    broken = {name: torch.full_like(weight, torch.nan) for name, weight in strategy._round.weights.items()}
    strategy._round = replace(strategy._round, weights=broken)
    taught(strategy, history[8:16])
    assert all(weight.isfinite().all() for weight in strategy._round.weights.values())


def test_what_was_learned_is_read_again(tmp_path, monkeypatch):
    history = history_of(SPACE, 24)

    def make():
        strategy = Nao(SPACE, **SMALL)
        strategy.cache_in(tmp_path / "cache")
        return strategy

    first = asked(tell(make(), history), 6)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 3
    assert asked(tell(Nao(SPACE, **SMALL), history), 6) == first, "a cache must change nothing but the time"
    damaged = bytearray(files[0].read_bytes())
    damaged[-1000] ^= 1
    for data in (bytes(damaged[:1000]), bytes(damaged)):
        files[0].write_bytes(data)
        assert asked(tell(make(), history), 6) == first
        assert files[0].read_bytes() not in (bytes(damaged), data), "a damaged file is learned anew"

    def forbidden(*_):
        raise AssertionError("trained although all was there")

    monkeypatch.setattr(joint_training, "train", forbidden)
    assert asked(tell(make(), history), 6) == first
    other = [replace(history[0], scores=(5.5,)), *history[1:]]
    with pytest.raises(AssertionError, match="trained although"):
        tell(make(), other)
    other_options = Nao(SPACE, **{**SMALL, "top": 5})
    other_options.cache_in(tmp_path / "cache")
    with pytest.raises(AssertionError, match="trained although"):
        tell(other_options, history)


def test_a_cache_is_of_one_space_and_one_version(tmp_path, monkeypatch):
    """The same genes, options and trials; another space or program may learn something else from them."""
    history = history_of(SPACE, 8)

    def files_of(space):
        strategy = Nao(space, **SMALL)
        strategy.cache_in(tmp_path)
        taught(strategy, history)
        return {path.name for path in tmp_path.iterdir()}

    first = files_of(SPACE)
    assert len(first) == 1
    assert files_of(SPACE) == first
    assert not files_of(MirrorSpace(length=6)) & first
    for name, value in (("__version__", "0.0.0"), ("ALGORITHM", -1)):
        monkeypatch.setattr(nao, name, value)
        others = files_of(SPACE)
        assert len(others) == 1, "what the other left is removed"
        assert not others & first
        monkeypatch.undo()
    assert files_of(SPACE) == first


def test_a_space_that_is_named_by_its_address_is_the_same_in_the_next_process():
    class Plain(ToySpace):
        __repr__ = object.__repr__

    assert repr(Plain()) != repr(kept := Plain())
    assert Nao(kept, **SMALL)._prefix == Nao(Plain(), **SMALL)._prefix


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("no folder")
    strategy = Nao(SPACE, **SMALL)
    strategy.cache_in(tmp_path / "file")
    history = history_of(SPACE, 8)
    assert asked(tell(strategy, history), 3) == asked(tell(Nao(SPACE, **SMALL), history), 3)


def search(folder, trials, store):
    strategy = Nao(SPACE, **SMALL)
    evaluator = ToyEvaluator(SPACE, ToyTask())
    Search(SPACE, strategy, store, Inline(evaluator), limits=Limits(trials=trials), seed=3, folder=folder).run()
    return [(row.proposal, row.seed, row.result.metrics) for row in store.finished()]


def test_an_interrupted_search_is_the_undisturbed_one(tmp_path, monkeypatch):
    whole = search(None, 29, MemoryStore())
    store = MemoryStore()
    search(tmp_path, 19, store)
    learned = len(list((tmp_path / "strategy").iterdir()))
    assert learned == 2
    numbers = itertools.count(1)
    train = joint_training.train
    monkeypatch.setattr(joint_training, "train", lambda *arguments: (next(numbers), train(*arguments))[1])
    assert search(tmp_path, 29, store) == whole
    assert next(numbers) == 2, "only the round that was not learned before is"


def test_a_copy_that_was_told_nothing_searches_as_the_original():
    """As comparisons begin each search."""
    fresh = Nao(SPACE, **SMALL)
    history = history_of(SPACE, 16)
    assert asked(tell(copy.deepcopy(fresh), history), 4) == asked(tell(fresh, history), 4)


def test_failed_trials_are_left_out_and_never_asked_again():
    history = history_of(SPACE, 8, lambda genotype: None if genotype[0] == 0 else total(genotype))
    assert any(trial.scores is None for trial in history)
    proposals = asked(tell(Nao(SPACE, **SMALL, lag=0), history), 8)
    failed = {trial.id for trial in history if trial.scores is None}
    assert not {proposal.parents[0] for proposal in proposals if proposal.parents} & failed
    assert not {SPACE.key(proposal.genotype) for proposal in proposals} & {trial.key for trial in history}


def test_nothing_but_failures_is_random_search():
    trials = list(play(Nao(SPACE, **SMALL), SPACE, 20, lambda _: None))
    assert not any(trial.proposal.notes for trial in trials)


def test_equal_scores_are_no_fault():
    assert len(list(play(Nao(SPACE, **SMALL), SPACE, 20, lambda _: 0.5))) == 20


def test_a_small_space_is_exhausted():
    space = ToySpace(length=2, options=4)
    strategy = Nao(space, **SMALL)
    with pytest.raises(AttributeError, match="genotype"):  # None is proposed: the search is over
        list(play(strategy, space, 17))
    assert strategy._told == 16


def test_what_the_space_refuses_is_not_proposed():
    listed = tuple(Choice(f"g{n}", ("a", "b", "c", "d"), "op") for n in range(6))
    space = GeneSpace(listed=listed, refused="odd")
    for trial in play(Nao(space, **SMALL), space, 32):
        space.check(trial.proposal.genotype)


def test_constraints_hold():
    space = constraints.constrain(SPACE, IO(1, 1, 1, 1), ("params <= 9",))
    for trial in play(Nao(space, **SMALL), space, 24):
        assert total(trial.proposal.genotype) <= 9


def test_other_spellings_are_learned_and_the_same_network_is_not_asked_twice():
    space = MirrorSpace(length=6)
    strategy = Nao(space, **SMALL)
    genotype = (0, 1, 2, 3, 0, 1)

    def drawn(flavor, seed=0):
        return spelled(space, space, FLAVORS[flavor], [genotype], np.random.default_rng(seed))

    sequence = genes.to_tokens(space.genes, genotype)
    assert {tuple(found) for found in drawn("pt2")[0].tolist()} == {sequence, sequence[::-1]}
    for seed in range(8):  # "pt2" has the genotype and 9 others, "pt1" 32 others
        assert drawn("pt2", seed).shape == (1, 10, 6) and tuple(drawn("pt2", seed)[0, 0].tolist()) == sequence
    others = [drawn("pt1", seed) for seed in range(8)]
    assert others[0].shape == (1, 32, 6) and any(tuple(each[0, 0].tolist()) != sequence for each in others)
    assert len({trial.key for trial in play(strategy, space, 32)}) == 32


def test_whole_numbers_and_reals_are_moved_on_their_grids():
    listed = (
        Integer("depth", 1, 400, bins=9),
        Real("rate", 0.0, 1.0, bins=5),
        *(Real(f"r{n}", -1, 1) for n in range(4)),
    )
    space = GeneSpace(listed=listed)
    trials = list(play(Nao(space, **SMALL), space, 24))
    grids = ({1, 51, 101, 151, 201, 250, 300, 350, 400}, {0.0, 0.25, 0.5, 0.75, 1.0})
    by_id, kept = {trial.id: trial.proposal.genotype for trial in trials}, 0
    for trial in trials[8:]:
        space.check(trial.proposal.genotype)
        for position, grid in enumerate(grids):
            value = trial.proposal.genotype[position]
            parents = {by_id[parent][position] for parent in trial.proposal.parents}
            assert not trial.proposal.parents or value in grid | parents
            kept += bool(trial.proposal.parents) and value not in grid
    assert kept, "what a move does not change does not jump to the grid"


@pytest.mark.parametrize("space", [NatsTopology(), HierarchicalSpace()])
def test_real_spaces_need_no_line_of_their_own(space):
    strategy = tell(Nao(space, **{**SMALL, "epochs": 150, "lag": 0}), history_of(space, 8))
    proposals = asked(strategy, 4, space)
    for proposal in proposals:
        space.check(proposal.genotype)
    assert proposals[0].notes["round"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("a", "-b")}, "nao predicts one objective, the run has 2"),
        ({"seeds": 1}, "strategy.seeds is 1; it must be at least 2"),
        ({"epochs": 0}, "strategy.epochs is 0; it must be at least 1"),
        ({"trade_off": 1.5}, r"strategy.trade_off is 1.5; it must be in \[0, 1\]"),
        ({"new": 10, "lag": 11}, "strategy.lag is 11; it must be from 0 to 10"),
        ({"seeds": 5, "lag": 4}, "strategy.lag is 4; it must be from 0 to 3"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Nao(SPACE, **options)
