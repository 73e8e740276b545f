from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import building, genes, run_file
from netwright.core.constraints import Constrained, parse
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.protocols import Generates, HasStarts, HasTrivial, Symmetric, check_accepts, of_seed, unwrap
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.settings import KEPT, WIDTH, Setting, Tuned, is_resolved, of_tables, resolved, spelled
from netwright.core.shapes import Numbers, Vector
from netwright.plans.plan import HasPlan
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import plugin as Hnag
from netwright.spaces.nao import plugin as Nao
from netwright.testing.spaces import check_space
from netwright.testing.toys import ToySpace

LR = Setting("lr", 0.1, low=0.001, high=1.0, log=True)
CUTOUT = Setting("cutout", 0, low=0, high=4)
FLIP = Setting("flip", False, (False, True))
SMOOTHING = Setting("label_smoothing", 0.0, low=0.0, high=0.2)
KNOWN = {setting.name: setting for setting in (LR, CUTOUT, FLIP, SMOOTHING)}
IMAGES = IO(1, 8, 8, 10)


def test_a_setting_is_a_gene():
    assert LR.gene == Real("log10 lr", -3.0, 0.0)
    assert CUTOUT.gene == Integer("cutout", 0, 4)
    assert FLIP.gene == Choice("flip", ("false", "true"))
    assert SMOOTHING.gene == Real("label_smoothing", 0.0, 0.2)
    assert [LR.value(-3.0), LR.value(-1.0), CUTOUT.value(3), FLIP.value(1)] == [0.001, 0.1, 3, True]
    assert [setting.value(setting.usual) for setting in KNOWN.values()] == [0.1, 0, False, 0.0]


@given(st.floats(1e-6, 1.0), st.floats(1.001, 1e6), st.floats(0, 1))
def test_logarithmic_values_stay_in_their_range(low, factor, unit):
    setting = Setting("lr", low, low=low, high=low * factor, log=True)
    value = genes.from_vector([setting.gene], np.array([unit]))[0]
    assert low <= setting.value(value) <= low * factor


@pytest.mark.parametrize("default", [0.05, 0.07, 0.025, 0.3, 0.003])
def test_a_default_is_itself_to_the_last_digit(default):
    setting = Setting("lr", default, low=0.001, high=1.0, log=True)
    assert setting.value(setting.usual) == default


def centered(setting):
    return replace(setting, centered=True)


def test_a_uniform_setting_is_drawn_as_genes_are():
    for setting in KNOWN.values():
        one, other = np.random.default_rng(3), np.random.default_rng(3)
        assert [setting.draw(one) for _ in range(50)] == [genes.draw(setting.gene, other) for _ in range(50)]


def test_a_centered_choice_is_its_default_three_times_in_four():
    setting, rng = centered(Setting("augment", "b", ("a", "b", "c", "d"))), np.random.default_rng(0)
    drawn = [setting.value(setting.draw(rng)) for _ in range(6000)]
    assert drawn.count("b") / 6000 == pytest.approx(KEPT, abs=0.02)
    assert [drawn.count(each) / 6000 for each in "acd"] == pytest.approx([(1 - KEPT) / 3] * 3, abs=0.02)


def test_a_centered_number_is_normal_around_its_default_in_the_logarithm():
    rng = np.random.default_rng(0)
    drawn = np.array([centered(LR).draw(rng) for _ in range(6000)])
    assert np.median(drawn) == pytest.approx(-1.0, abs=0.03)
    low, high = -1 - 3 * WIDTH, 0.0  # one deviation below; two above is the end
    expected = NormalDist(0, 1).cdf(2)
    assert np.mean(drawn < low) == pytest.approx(NormalDist(0, 1).cdf(-1) / expected, abs=0.02)
    assert drawn.max() <= high


@given(
    st.integers(-5, 5),
    st.integers(1, 40),
    st.floats(0, 1),
    st.sampled_from(["whole", "real", "log"]),
    st.integers(0, 2**32),
)
def test_centered_values_are_values_of_the_gene(low, length, place, kind, seed):
    if kind == "whole":
        setting = Setting("x", low + round(place * length), low=low, high=low + length, centered=True)
    elif kind == "real":
        setting = Setting("x", low + place * length, low=float(low), high=float(low + length), centered=True)
    else:
        low, high = 10.0**low, 10.0 ** (low + length / 4)
        setting = Setting("x", min(max(low * (high / low) ** place, low), high), low=low, high=high, log=True)
        setting = centered(setting)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        drawn = setting.draw(rng)
        genes.check([setting.gene], (drawn,))
        assert setting.low <= setting.value(drawn) <= setting.high


def test_samples_and_mutants_are_drawn_around_defaults_that_are_centered():
    space, rng = Tuned(ToySpace(length=1, options=2), (centered(LR), SMOOTHING)), np.random.default_rng(0)
    far = (0, -3.0, 0.0)
    mutants = [space.mutate(far, rng)[1] for _ in range(3000)]
    moved = [value for value in mutants if value != -3.0]
    assert np.mean(np.abs(np.array(moved) + 1) < 1) > 0.9
    samples = np.array([space.sample(rng)[1:] for _ in range(2000)])
    assert np.mean(np.abs(samples[:, 0] + 1) < 1) > 0.9
    assert np.mean(samples[:, 1] < 0.1) == pytest.approx(0.5, abs=0.05)


def test_networks_that_are_known_to_work_are_trained_as_usual():
    class Known(ToySpace):
        def starts(self):
            return ((1, 1), (2, 0))

    tuned = Tuned(Known(length=2), (centered(LR), FLIP))
    assert unwrap(tuned, HasStarts).starts() == ((1, 1, -1.0, 0), (2, 0, -1.0, 0))
    assert unwrap(Constrained(tuned, IMAGES, ()), HasStarts).starts() == ((1, 1, -1.0, 0), (2, 0, -1.0, 0))
    assert unwrap(Tuned(ToySpace(length=2), (LR,)), HasStarts) is None


def test_a_genotype_holds_network_and_settings():
    space = Tuned(ToySpace(length=3), (LR, FLIP))
    assert space.parts((1, 2, 3, -2.0, 1)) == ((1, 2, 3), {"lr": 0.01, "flip": True})
    assert space.key((1, 2, 3, -2.0, 1)) != space.key((1, 2, 3, -2.0, 0)) != space.key((1, 2, 0, -2.0, 0))
    assert space.count((1, 2, 3, -2.0, 1), IMAGES) == ToySpace(length=3).count((1, 2, 3), IMAGES)
    with pytest.raises(InvalidGenotype, match=r"gene 3 \(log10 lr\) is 0.5; it takes a number from -3.0 to 0.0"):
        space.check((1, 2, 3, 0.5, 1))
    with pytest.raises(InvalidGenotype, match="the space has 5 genes"):
        space.check((1, 2, 3))


def test_mutations_reach_settings_as_often_as_they_are_among_the_genes():
    space, rng = Tuned(ToySpace(length=6, options=100), (LR, SMOOTHING)), np.random.default_rng(0)
    start = space.with_defaults((0,) * 6)
    changed = [[a != b for a, b in zip(start, space.mutate(start, rng), strict=True)] for _ in range(4000)]
    assert all(sum(row) <= 1 for row in changed)
    assert sum(sum(row[6:]) for row in changed) / 4000 == pytest.approx(2 / 8, abs=0.03)


def test_a_tuned_space_is_a_space():
    check_space(Tuned(HierarchicalSpace(channels=4), (LR, CUTOUT, FLIP)), IMAGES)


def test_capabilities_are_those_of_the_space_within_and_speak_of_whole_genotypes():
    hierarchical = HierarchicalSpace(channels=4)
    tuned = Tuned(hierarchical, (LR, FLIP))
    assert unwrap(tuned, HasTrivial).trivial() == (*hierarchical.trivial(), -1.0, 0)
    genotype = tuned.sample(np.random.default_rng(0))
    assert unwrap(tuned, HasPlan).plan(genotype, IMAGES) == hierarchical.plan(genotype[:-2], IMAGES)
    assert unwrap(tuned, Symmetric) is None
    assert unwrap(tuned, Generates) is None
    nao, rng = Nao(), np.random.default_rng(1)
    tuned = Tuned(nao, (LR,))
    genotype = tuned.sample(rng)
    other = unwrap(tuned, Symmetric).equivalents(genotype, rng)
    assert tuned.key(other) == tuned.key(genotype)
    assert len(other) == len(genotype)


def test_what_a_space_accepts_is_what_the_one_within_does():
    tuned = Tuned(HierarchicalSpace(), (LR,))
    check_accepts(tuned, IMAGES)
    with pytest.raises(BadReference, match="the space builds networks for images, but vectors of 16 go in"):
        check_accepts(Constrained(tuned, IMAGES, ()), IO(Vector(16), Numbers(1)))


def test_constraints_and_generators_work_around_it():
    hierarchical = HierarchicalSpace(channels=4)
    limited = Constrained(Tuned(hierarchical, (LR,)), IMAGES, (parse("params <= 1e5"),))
    assert unwrap(limited, HasTrivial).trivial() == (*hierarchical.trivial(), -1.0)
    limited.check(limited.sample(np.random.default_rng(0)))
    generator = Constrained(Tuned(Hnag(), (LR,)), IMAGES, (parse("params <= 1e9"),))
    seeded = of_seed(generator, 7)
    assert seeded.space.space == Hnag().seeded(7)
    assert of_seed(limited, 7) is limited


def test_names_are_resolved_to_tables_that_stand_alone():
    tables = resolved("lr, flip", KNOWN)
    assert tables == [
        {"name": "lr", "low": 0.001, "high": 1.0, "default": 0.1, "log": True},
        {"name": "flip", "options": [False, True], "default": False},
    ]
    assert of_tables(tables) == (LR, FLIP)
    assert resolved(tables, KNOWN) == tables
    assert resolved([{"name": "lr", "high": 0.5}], KNOWN)[0]["high"] == 0.5
    assert resolved("lr:centered, flip", KNOWN) == [{**tables[0], "centered": True}, tables[1]]
    asked = ["flip:centered", {"name": "lr", "default": 0.02, "centered": True}]
    assert resolved(asked, KNOWN) == [{**tables[1], "centered": True}, {**tables[0], "default": 0.02, "centered": True}]
    assert of_tables(resolved(asked, KNOWN)) == (centered(FLIP), replace(LR, default=0.02, centered=True))
    assert is_resolved(resolved(asked, KNOWN))
    assert not is_resolved(asked)
    run = RunFile(space=Reference("hierarchical", {"channels": 4, "with": tables}))
    again = run_file.from_toml(run_file.to_toml(run))
    assert again == run
    assert building.load_space(again.space) == Tuned(HierarchicalSpace(channels=4), (LR, FLIP))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("speed", "space.with names 'speed', which cannot be searched here; there are lr, cutout"),
        ("lr:wide", "space.with has 'lr:wide'; behind a name may stand :centered only, as in lr:centered"),
        ([{"name": "lr", "centered": 1}], "the setting 'lr' has centered = 1; give true or false"),
        (7, "space.with is 7; name settings of training, as in lr,cutout,flip"),
        ([], r"space.with is \[\]"),
        (["lr", "lr"], "names the setting 'lr' twice"),
        ([{"name": "lr", "bins": 3}], "the setting 'lr' has no 'bins'; it has name, low, high, default, log"),
        ([{"name": "lr", "low": "a"}], "goes from 'a' to 1.0"),
        ([{"name": "lr", "low": 0}], "a logarithmic range above 0"),
        ([{"name": "lr", "default": 3.0}], "the default must lie within"),
        ([{"name": "flip", "options": [True]}], "give at least two different options"),
    ],
)
def test_what_is_no_setting_is_refused_in_a_sentence(asked, message):
    with pytest.raises(BadReference, match=message):
        resolved(asked, KNOWN)


@pytest.mark.parametrize("default", ["", "none", 3, None])
def test_a_setting_without_options_is_refused(default):
    with pytest.raises(BadReference, match="no options to choose from"):
        of_tables([{"name": "augment", "options": [], "default": default}])


def test_people_see_settings_by_name():
    run = building.tuned(RunFile(space=Reference("flat", {"nodes": 3, "with": "lr,flip"}), task=Reference("digits")))
    assert is_resolved(run.space.options["with"])
    assert str(spelled(run.space)) == "flat(nodes=3, with='lr,flip')"
    assert spelled(Reference("flat")) == Reference("flat")
