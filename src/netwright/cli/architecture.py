"""What a command line names an architecture by: an entry of the zoo, a trial of a run, or a space and its genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from netwright.core import building, run_file
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, BadRunFile, InvalidGenotype
from netwright.core.protocols import check_accepts, of_seed
from netwright.core.records import IO, Genotype
from netwright.core.run_file import RunFile
from netwright.core.shapes import describe

DEFAULT_IO = IO(3, 32, 32, 10)
SAMPLES = 20  # draws of which one is to be a network

# what a command that takes an architecture declares, see `find`
TARGET: Final[Any] = typer.Argument(None, help="zoo:NAME, the folder of a run, or a space such as 'flat(nodes=7)'.")
NAMED: Final[Any] = typer.Option(None, "--space", help="A space, in place of TARGET.")
TRIAL: Final[Any] = typer.Option(None, help="Of a run: this trial instead of the best.")
KNEE: Final[Any] = typer.Option(False, "--knee", help="Of a run with several objectives: the knee of its front.")
AT: Final[Any] = typer.Option(None, help="The best of the front with this, as 'params<=2e5'; several: with all.")
GENES: Final[Any] = typer.Option(None, help="The genotype as a JSON array.")
SEED: Final[Any] = typer.Option(0, help="Of a space without --genes: draws the sample.")
SKELETON: Final[Any] = typer.Option(None, help="What the cell is put into; short for --space.skeleton.")
TRUST: Final[Any] = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them.")


@dataclass(frozen=True)
class Architecture:
    """One architecture that a command line names.

    Args:
        target: What it was named by.
        space: The space, scaled as asked; of a generator, with the seed of the trial.
        genotype: Its genotype, which the space admits.
        io: What goes in and comes out, by the zoo, the run, or as CIFAR-10 has it.
        run: The run that it is from; None: it is from none.
        faults: What of that run is damaged.
        seed: What drew the genotype; None: it was given.
    """

    target: str
    space: Any
    genotype: Genotype
    io: IO
    run: RunFile | None = None
    faults: Sequence[str] = ()
    seed: int | None = None


def find(
    target: str | None,
    named: str | None,
    which: Which,
    genes: str | None,
    skeleton: str | None,
    changes: dict[str, Any],
    trust: bool,
    seed: int = 0,
) -> Architecture:
    """The architecture of a command line.

    Args:
        target: zoo:NAME, the folder of a run, or a space.
        named: A space, in place of the target.
        which: Of a run: the trial.
        genes: The genotype as a JSON array, in place of the one found.
        skeleton: The option of that name of the space; None: as it is.
        changes: Other options of the space.
        trust: Whether plug-ins that a run file names are loaded, whoever wrote them.
        seed: Of a space without a genotype: draws the sample of it that is taken, and the network of a generator.

    Raises:
        BadRunFile, BadReference, InvalidGenotype: There is no such architecture.
    """
    if (target is None) == (named is None):
        raise BadRunFile("give either TARGET or --space: zoo:NAME, the folder of a run, or a space such as hnag")
    given = changes if skeleton is None else {**changes, "skeleton": skeleton}
    space, genotype, io, run, faults = _found(target or str(named), which, given, trust)
    if genes is not None:
        from netwright.core import genes as encodings

        genotype = encodings.from_json(genes)
    is_sample = genotype is None
    if genotype is None:
        space, genotype = _sampled(space, changes, seed)
    space.check(genotype)
    return Architecture(target or str(named), space, genotype, io, run, faults, seed if is_sample else None)


def shape(found: Architecture, text: str | None) -> IO:
    """The shape that --io gives, else the one found; refused where the space has no networks for it."""
    asked = run_file.read_io(text) if text else found.io
    try:
        check_accepts(found.space, asked)
    except BadReference:
        if text:
            raise
        given = describe(asked.input)
        raise BadRunFile(f"{found.target} builds no networks for {given}; say what goes in with --io") from None
    return asked


def _sampled(space: Any, changes: dict[str, Any], seed: int) -> tuple[Any, Genotype]:
    """The space, of a generator as this seed draws its network, and a genotype that it samples.

    Raises:
        BadRunFile: The seed is no seed.
        InvalidGenotype: None of a few samples is a network.
    """
    import numpy as np

    if seed < 0:
        raise BadRunFile(f"--seed is {seed}; it must be at least 0")
    rng = np.random.default_rng(seed)
    drawn = space if "seed" in changes or seed == 0 else of_seed(space, seed)
    refusal: InvalidGenotype | None = None
    for _ in range(SAMPLES):
        genotype = drawn.sample(rng)
        try:
            drawn.check(genotype)
        except InvalidGenotype as error:
            refusal = refusal or error
        else:
            return drawn, genotype
    raise refusal or InvalidGenotype("the space samples nothing")


def _found(
    target: str, which: Which, changes: dict[str, Any], trust: bool
) -> tuple[Any, Genotype | None, IO, RunFile | None, Sequence[str]]:
    """The space, genotype, shape and run that a target stands for, and what of it is damaged."""
    from netwright.core import refs

    kind, _, name = target.partition(":")
    if kind == "zoo":
        _refuse_front(which, target)
        published = refs.locate("zoo", name)
        return refs.revise("space", published.space, changes), published.genotype, published.io, None, ()
    from netwright.runs import run_folder

    folder = Path(target)
    if run_folder.holds_run(folder):
        return _of_run(folder, which, changes, trust)
    if folder.is_dir():
        raise BadRunFile(f"folder {target} holds no run; give the folder that a search wrote to")
    _refuse_front(which, target)
    reference = refs.parse(target)
    entry = refs.spelled("zoo", reference.name)
    if reference.name not in refs.available("space") and entry in refs.available("zoo"):
        raise BadReference(f"{target} is no space but a published network; write zoo:{entry}")
    space = building.load_space(refs.Reference(reference.name, {**reference.options, **changes}))
    return space, None, DEFAULT_IO, None, ()


def _refuse_front(which: Which, target: str) -> None:
    if which.is_of_front:
        raise BadRunFile(f"{'--knee' if which.knee else '--at'} goes with the folder of a run; {target} is none")


def _of_run(
    folder: Path, which: Which, changes: dict[str, Any], trusted: bool
) -> tuple[Any, Genotype, IO, RunFile, Sequence[str]]:
    from netwright.core import trust
    from netwright.report import fronts
    from netwright.runs import run_folder

    store = run_folder.open_table(folder, "inspect")
    run = run_folder.stored_run(store, folder, trust.of_typed(changes, trust=trusted))
    finished = run_folder.history(folder, run.objectives)
    unfinished = {row.id: row for row in store.unfinished()}
    found = unfinished.get(which.trial or 0) or fronts.chosen(finished, which)
    if found is None and which.trial is None:
        raise BadRunFile(f"no trial of {folder} has succeeded yet; give --trial to show one that has not")
    if found is None:
        known = f"it has trials 1 to {len(finished) + len(unfinished)}"
        raise BadReference(f"{folder} has no trial {which.trial}; {known}")
    io = store.recall("io")
    store.close()
    space = building.load_space(run_file.override(run, "space", changes).space)
    space = space if "seed" in changes else of_seed(space, found.seed)
    return space, found.proposal.genotype, run_file.read_io(io) if io else DEFAULT_IO, run, finished.faults
