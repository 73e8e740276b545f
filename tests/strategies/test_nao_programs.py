"""The programs as settings of a search: taken whole, and overridden option by option."""

from collections import Counter
from dataclasses import asdict, replace

import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.spaces.nao import NaoSpace
from netwright.strategies.nao import Nao
from netwright.strategies.nao_programs import PROGRAMS, UNNAMED
from netwright.surrogates import joint_training
from netwright.surrogates.encoder_predictor_decoder import FLAVORS
from netwright.testing.toys import ToySpace
from tests.strategies.test_nao import MirrorSpace, asked, history_of, play, taught, tell

SPACE = ToySpace(length=6)
TINY = {"seeds": 8, "new": 6, "top": 4, "epochs": 2, "batch": 8}


def test_what_the_programs_are():
    """Sections 3.3 and 4 of the specification."""
    found = {
        name: (each.batch, len(each.steps), each.steps[:3], each.new, each.fresh, each.symmetry)
        for name, each in PROGRAMS.items()
    }
    assert found == {
        "tf": (50, 3, (10, 20, 30), 300, 0, False),
        "tf-rnn": (50, 3, (10, 20, 30), 300, 0, False),
        "tf-ws": (100, 101, (1, 2, 3), 500, 50, True),
        "tf-ws-rnn": (100, 30, (1, 2, 3), 300, 50, False),
        "pt1": (100, 51, (1, 2, 3), 300, 0, True),
        "pt2": (100, 51, (1, 2, 3), 300, 0, True),
    }
    for name, each in PROGRAMS.items():
        assert (each.flavor, each.top, each.epochs, each.trade_off) == (name, 100, 1000, 0.8)
    assert {name: flavor.encoder_dropout for name, flavor in FLAVORS.items()} == {
        **dict.fromkeys(("tf", "tf-rnn", "tf-ws", "tf-ws-rnn"), 0.1),
        **dict.fromkeys(("pt1", "pt2"), 0.0),
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_taken_whole(name):
    assert Nao(SPACE, program=name)._program == PROGRAMS[name]
    student = Nao(SPACE, program=name)._student()
    assert (student.flavor, student.steps) == (FLAVORS[name], PROGRAMS[name].steps)


def test_without_a_name_a_search_is_what_it_always_was():
    assert Nao(SPACE)._program == UNNAMED
    assert asdict(UNNAMED) == {
        "flavor": "pt1",
        "seeds": 600,
        "new": 200,
        "fresh": 0,
        "top": 100,
        "steps": tuple(range(1, 52)),
        "epochs": 1000,
        "batch": 100,
        "trade_off": 0.8,
        "symmetry": True,
    }


def test_options_override_the_program_one_by_one():
    strategy = Nao(SPACE, program="tf", new=20, largest_step=4, symmetry=True, flavor="pt2")
    assert strategy._program == replace(PROGRAMS["tf"], new=20, steps=(1, 2, 3, 4), symmetry=True, flavor="pt2")
    assert Nao(SPACE, program="tf", trade_off=0.0)._program.trade_off == 0.0, "zero is a value"


def test_the_reference_of_a_search_repeats_it():
    """What a run file holds: the program's name and what differs from it, nothing else."""
    strategy = refs.load("strategy", refs.parse("nao(program='tf', steps=[5, 7])"), space=SPACE, objectives=None)
    reference = refs.reference_of("strategy", strategy)
    assert reference.options == {"program": "tf", "steps": [5, 7]}
    assert refs.load("strategy", reference, space=SPACE, objectives=None)._program == strategy._program


def test_steps_are_those_of_the_program():
    strategy = taught(Nao(SPACE, program="tf", **TINY), history_of(SPACE, 8))
    steps = [candidate.step for candidate in strategy._round.candidates]
    assert steps and set(steps) <= {10, 20, 30}


@pytest.mark.parametrize(("given", "copies"), [({}, 1), ({"symmetry": True}, 32)])
def test_other_spellings_are_learned_where_the_program_has_them(given, copies, monkeypatch):
    space, shapes = MirrorSpace(length=6), []
    monkeypatch.setattr(joint_training, "train", lambda _, spellings, *__: shapes.append(spellings.shape))
    taught(Nao(space, program="tf", **TINY, lag=0, **given), history_of(space, 8))
    assert shapes == [(8, copies, 6)]


def test_fresh_networks_come_after_the_decoded_ones():
    options = {**TINY, "seeds": 20, "new": 3, "top": 8, "epochs": 30, "flavor": "pt2"}
    trials = list(play(Nao(SPACE, **options, fresh=2, lag=0), SPACE, 20 + 2 * 5))
    rounds = Counter((t.proposal.notes.get("round"), "step" in t.proposal.notes) for t in trials)
    assert rounds == {(None, False): 20, (1.0, True): 3, (1.0, False): 2, (2.0, True): 3, (2.0, False): 2}
    waiting = Nao(SPACE, **TINY, fresh=3, flavor="pt2", lag=2)._student()
    assert waiting.wanted == 6, "who waits for the next model measures fresh ones"


def test_what_is_held_out_is_measured_on_and_never_learned():
    history, options = history_of(SPACE, 14), {**TINY, "seeds": 14, "flavor": "pt2", "held_out": 5, "lag": 0}
    strategy = taught(Nao(SPACE, **options), history)
    names = {name.split("_")[1] for name in strategy._round.notes if name.startswith("model_")}
    assert names == {"learned", "unseen"}
    assert len(strategy._members) == 9 and {t.parents[0] for t in asked(strategy, 3)} <= set(range(6, 15))
    weights = strategy._round.weights
    other = [replace(trial, scores=(7.0 * n,)) if n < 5 else trial for n, trial in enumerate(history)]
    told_otherwise = taught(Nao(SPACE, **options), other)._round
    assert all((told_otherwise.weights[name] == value).all() for name, value in weights.items())
    assert told_otherwise.notes != strategy._round.notes


def test_a_space_of_cells_is_searched_by_every_program():
    space = NaoSpace(operations="small")
    for name in PROGRAMS:
        strategy = tell(Nao(space, program=name, **{**TINY, "epochs": 1}, lag=0), history_of(space, 8))
        assert strategy._tokens.group == (1 if name == "tf-rnn" else 2), "tokens that the encoder reads at a time"
        for proposal in asked(strategy, 2, space):
            space.check(proposal.genotype)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": (1, 2), "largest_step": 3}, "strategy.largest_step is 3 beside strategy.steps; give one of the two"),
        ({"steps": ()}, "strategy.steps is 0; it must be at least 1"),
        ({"steps": (10, 0)}, "strategy.steps is 0; it must be at least 1"),
        ({"largest_step": 0}, "strategy.largest_step is 0; it must be at least 1"),
        ({"fresh": -1}, "strategy.fresh is -1; it must be at least 0"),
        ({"seeds": 10, "held_out": 9}, "strategy.held_out is 9; it must be at most 8, strategy.seeds less 2"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Nao(SPACE, **options)


def test_an_unknown_program_is_refused_by_name():
    with pytest.raises(BadReference, match="program"):
        refs.load("strategy", refs.parse("nao(program='tf2')"), space=SPACE, objectives=None)
