"""Networks that users put in the place of the plain one."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.cells.stages import Stage
from netwright.core import building, run_file
from netwright.core.constraints import constrain
from netwright.core.errors import BadReference
from netwright.core.protocols import starts_of
from netwright.core.records import IO
from netwright.core.refs import Reference, parse
from netwright.core.run_file import RunFile
from netwright.core.shapes import Classes, Vector
from netwright.core.trust import Trust
from netwright.runs.timed import reference
from netwright.runs.timed.reference import check_reference
from netwright.spaces.macro import staged
from netwright.spaces.residual import ResidualSpace
from tests.contest_toys import Starting

IMAGES = IO(1, 8, 8, 3)


@pytest.mark.parametrize(
    "text",
    [
        "tests.contest_toys:net",
        "tests.contest_toys:net(features=3)",
        "tests.contest_toys:Starting",
        "hierarchical(channels=4)",
    ],
)
def test_what_can_be_trained_is_taken(text):
    check_reference(text, IMAGES)
    entrant = reference.of_text(text)
    space = building.load_space(parse(entrant.space))
    assert entrant.candidate.is_reference
    assert space.count(entrant.candidate.genotype, IMAGES).params > 0


def test_a_function_is_a_space_of_one_network():
    space = building.load_space(parse(reference.of_text("tests.contest_toys:net(features=3)").space))
    assert space.count((0,), IMAGES).params == 3 * 10 + 3 * 4
    assert space.count((0,), IMAGES).multiply_adds == 64 * 27 + 9
    assert space.mutate((0,), np.random.default_rng(0)) == (0,)
    weights = [next(space.build((0,), IMAGES, np.random.default_rng(seed)).parameters()) for seed in (1, 1, 2)]
    assert (weights[0] == weights[1]).all()
    assert not (weights[0] == weights[2]).all()


@pytest.mark.parametrize(
    ("text", "io", "message"),
    [
        ("tests.contest_toys:shapeless", IMAGES, r"gives \(1, 3, 8, 8\) for one image; it must give logits"),
        ("tests.contest_toys:broken", IMAGES, "cannot be built: ValueError: no such size"),
        ("tests.contest_toys:empty", IMAGES, "it must return a torch module with parameters"),
        ("tests.contest_toys:net(width=3)", IMAGES, "cannot be built: TypeError"),
        ("tests.contest_toys:nothing", IMAGES, "cannot be imported"),
        ("tests.contest_toys:NOT_CALLED", IMAGES, "does not say that it returns a network; annotate the function"),
        ("tests.contest_toys:unsaid", IMAGES, "does not say that it returns a network"),
        ("os:system", IMAGES, "does not say that it returns a network"),
        ("tests.no_such:net", IMAGES, "cannot be imported: ModuleNotFoundError"),
        ("no_such_space", IMAGES, "there is no space 'no_such_space'"),
        ("residual", IMAGES, "has many networks, and none that it starts from"),
        ("tests.contest_toys:net", IO(Vector(4), Classes(3)), "vectors"),
        ("a:b:c(", IMAGES, "cannot read"),
    ],
)
def test_a_bad_one_is_one_sentence(text, io, message):
    with pytest.raises(BadReference, match=message) as error:
        check_reference(text, io)
    assert "\n" not in str(error.value)


def test_one_beyond_the_constraints_is_refused_as_it_may_ship():
    check_reference("tests.contest_toys:net", IMAGES, ("params <= 1000", "multiply_adds < 1e6"))
    with pytest.raises(BadReference, match=r"net' has 107 params, and may ship, which is to have params <= 50; give a"):
        check_reference("tests.contest_toys:net", IMAGES, ("params <= 50",))


def test_a_stored_one_is_not_loaded_untrusted():
    stored = RunFile(space=Reference("own", {"network": "mylab.nets:net"}))
    with pytest.raises(BadReference, match=r"names 'mylab.nets:net' for its space"):
        Trust().check(run_file.references(stored), "the run file")


def test_the_plain_network_is_the_first_start_or_a_residual_one():
    run = RunFile(space=Reference("tests.contest_toys:Starting"))
    assert reference.plain(run, Starting(), IMAGES, 100).candidate.genotype == (4, 1)
    bounded = constrain(Starting(), IMAGES, ("params >= 10000",))
    assert reference.plain(run, bounded, IMAGES, 20_000).space == "residual", "the second start is not the plain one"
    small = replace(run, constraints=("params <= 9000",))
    fitting = reference.plain(small, bounded, IMAGES, 20_000).candidate.genotype
    assert ResidualSpace().count(fitting, IMAGES).params <= 9000, "what ships keeps what the user asked for"
    large = replace(run, constraints=("params >= 1e6",))
    none = constrain(Starting(), IMAGES, large.constraints)
    assert reference.plain(large, none, IMAGES, 1_000_000).space == "residual"
    assert reference.plain(large, none, IMAGES, None) is None


def test_within_a_bound_the_plain_network_is_the_largest_allowed_whatever_the_search_found():
    run = RunFile(space=Reference("macro"), constraints=("params <= 50000",))
    io = IO(3, 32, 32, 10)
    space = building.load_space(run.space)
    bounded = constrain(space, io, run.constraints)
    found = {params: reference.plain(run, bounded, io, params) for params in (6_000, 36_396, 50_000, None)}
    assert len(set(found.values())) == 1, "a small winner is no reason for a small rival"
    narrow = found[6_000]
    assert narrow.space == "", "the search has tried it"
    assert narrow.candidate.genotype == starts_of(bounded)[0]
    assert staged(narrow.candidate.genotype).stages == tuple(Stage("residual", 2, width) for width in (8, 16, 32))
    assert 44_000 < space.count(narrow.candidate.genotype, io).params <= 50_000


def test_a_residual_network_that_comes_closer_to_a_bound_is_the_plain_one():
    run = RunFile(space=Reference("macro"), constraints=("params <= 30000",))
    io = IO(3, 32, 32, 10)
    space = building.load_space(run.space)
    bounded = constrain(space, io, run.constraints)
    found = reference.plain(run, bounded, io, None)
    assert found.space == "residual", "the widths of the space are multiples of 4"
    assert space.count(starts_of(bounded)[0], io).params < 12_000
    assert 25_000 < ResidualSpace().count(found.candidate.genotype, io).params <= 30_000


def test_where_no_smaller_one_is_allowed_the_plain_network_is_as_large_as_what_was_found():
    run = RunFile(space=Reference("macro"), constraints=("params >= 1e6",))
    io = IO(3, 32, 32, 10)
    bounded = constrain(building.load_space(run.space), io, run.constraints)
    genotype = reference.plain(run, bounded, io, 1_200_000).candidate.genotype
    assert ResidualSpace().count(genotype, io).params == pytest.approx(1_200_000, rel=0.05)
    assert reference.plain(run, bounded, io, None) is None
