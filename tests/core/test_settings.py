import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import genes, run_file
from netwright.core.constraints import Constrained, parse
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.protocols import Generates, HasTrivial, Symmetric, check_accepts, of_seed, unwrap
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.settings import Setting, Tuned, of_tables, resolved
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
    run = RunFile(space=Reference("hierarchical", {"channels": 4, "with": tables}))
    again = run_file.from_toml(run_file.to_toml(run))
    assert again == run
    assert run_file.load_space(again.space) == Tuned(HierarchicalSpace(channels=4), (LR, FLIP))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("speed", "space.with names 'speed', which cannot be searched here; there are lr, cutout"),
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
