"""Other libraries on a table of six choices of five, each as its documents tell a user to ask and tell.

Every function plays one search: so many trials, each measured by the function given. A library is imported when its
search is played, so that what is not installed is left out and nothing else is. Some draw from Python's or torch's own
generators whatever seed they are given; their times do not depend on it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

GENES, OPTIONS = 6, 5
POPULATION, SAMPLE = 10, 3  # of the evolution in NATS-Bench's own study
NAMES = tuple(f"gene_{number}" for number in range(GENES))

Measure = Callable[[Sequence[int]], float]  # higher is better
Play = Callable[[int, int, Measure], None]  # trials, seed, measure


@dataclass(frozen=True)
class Peer:
    """A library.

    Args:
        name: As its authors write it.
        package: As it is installed.
        module: As it is imported.
        searches: By what they do: "random", "aging", "TPE", "generations".
    """

    name: str
    package: str
    module: str
    searches: Mapping[str, Play]

    def fault(self) -> str:
        """Why it cannot be measured; "" if it can."""
        try:
            importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            return "not installed" if error.name == self.module.partition(".")[0] else f"not measured: {error}"
        except ImportError as error:
            return f"not measured: {error}"
        return ""

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {metadata.version(self.package)}"


def optuna_random(trials: int, seed: int, measure: Measure) -> None:
    """Optuna, its study in memory."""
    import optuna

    _optuna(optuna.samplers.RandomSampler(seed=seed), trials, measure)


def optuna_tpe(trials: int, seed: int, measure: Measure) -> None:
    """Optuna's default sampler."""
    import optuna

    _optuna(optuna.samplers.TPESampler(seed=seed), trials, measure)


def _optuna(sampler: object, trials: int, measure: Measure) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)  # type: ignore[arg-type]
    options = tuple(range(OPTIONS))
    study.optimize(lambda trial: measure([trial.suggest_categorical(name, options) for name in NAMES]), trials)


def syne_tune_random(trials: int, seed: int, measure: Measure) -> None:
    """Syne Tune, asked and told: its simulator on tables needs XGBoost, which brings CUDA."""
    from syne_tune.optimizer.baselines import RandomSearch

    _syne_tune(
        RandomSearch(_syne_tune_space(), metrics=["signal"], do_minimize=False, random_seed=seed), trials, measure
    )


def syne_tune_aging(trials: int, seed: int, measure: Measure) -> None:
    """Its regularized evolution."""
    from syne_tune.optimizer.baselines import REA

    options = {"population_size": POPULATION, "sample_size": SAMPLE, "do_minimize": False, "random_seed": seed}
    _syne_tune(REA(_syne_tune_space(), metric="signal", **options), trials, measure)


def _syne_tune_space() -> dict[str, object]:
    from syne_tune.config_space import choice

    return {name: choice(list(range(OPTIONS))) for name in NAMES}


def _syne_tune(scheduler: object, trials: int, measure: Measure) -> None:
    from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

    asked = AskTellScheduler(scheduler)
    for _ in range(trials):
        trial = asked.ask()
        asked.tell(trial, {"signal": measure([trial.config[name] for name in NAMES])})


def neps_random(trials: int, seed: int, measure: Measure) -> None:  # noqa: ARG001 - it takes none
    """NePS, asked and told: its own loop writes every trial to a disk."""
    import neps

    _neps(neps.algorithms.random_search(_neps_space()), trials, measure)


def neps_aging(trials: int, seed: int, measure: Measure) -> None:  # noqa: ARG001
    """Its regularized evolution, with mutation alone, of one gene."""
    import neps

    options = {"population_size": POPULATION, "tournament_size": SAMPLE, "mutation_type": 1.0, "n_mutations": 1}
    _neps(neps.algorithms.neps_regularized_evolution(_neps_space(), use_priors=False, **options), trials, measure)


def _neps_space() -> object:
    import neps

    logging.getLogger("neps").setLevel(logging.ERROR)
    choices = {name: neps.Categorical(choices=tuple(range(OPTIONS))) for name in NAMES}
    return type("Cells", (neps.PipelineSpace,), choices)()


def _neps(optimizer: object, trials: int, measure: Measure) -> None:
    import neps

    asked = neps.AskAndTell(optimizer)
    for _ in range(trials):
        trial = asked.ask()
        asked.tell(trial, -measure(list(trial.config.values())))  # positions in the order of the genes; it minimizes


def pyglove_random(trials: int, seed: int, measure: Measure) -> None:
    """PyGlove, with its backend in memory."""
    import pyglove

    _pyglove(pyglove.geno.Random(seed=seed), trials, measure)


def pyglove_aging(trials: int, seed: int, measure: Measure) -> None:
    """Its regularized evolution."""
    from pyglove.ext import evolution

    mutator = evolution.mutators.Uniform(seed=seed)
    _pyglove(evolution.regularized_evolution(mutator, POPULATION, SAMPLE, seed=seed), trials, measure)


def _pyglove(algorithm: object, trials: int, measure: Measure) -> None:
    import pyglove

    space = pyglove.Dict({name: pyglove.oneof(list(range(OPTIONS))) for name in NAMES})
    for example, feedback in pyglove.sample(space, algorithm, num_examples=trials):
        feedback(measure([example[name] for name in NAMES]))


def deap_generations(trials: int, seed: int, measure: Measure) -> None:
    """DEAP's simple evolution, mutation alone: all children of a generation replace their parents at once."""
    import random

    from deap import algorithms, base, tools

    rng = random.Random(seed)

    class Fitness(base.Fitness):  # type: ignore[misc]
        weights = (1.0,)

    class Individual(list[int]):
        def __init__(self, values: Sequence[int]) -> None:
            super().__init__(values)
            self.fitness = Fitness()

    toolbox = base.Toolbox()
    toolbox.register("evaluate", lambda individual: (measure(individual),))
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=OPTIONS - 1, indpb=1 / GENES)
    toolbox.register("select", tools.selTournament, tournsize=SAMPLE)
    start = [Individual([rng.randrange(OPTIONS) for _ in NAMES]) for _ in range(POPULATION)]
    algorithms.eaSimple(start, toolbox, cxpb=0.0, mutpb=1.0, ngen=trials // POPULATION - 1, verbose=False)


PEERS = (
    Peer("Optuna", "optuna", "optuna", {"random": optuna_random, "TPE": optuna_tpe}),
    Peer("Syne Tune", "syne-tune", "syne_tune", {"random": syne_tune_random, "aging": syne_tune_aging}),
    Peer("NePS", "neural-pipeline-search", "neps", {"random": neps_random, "aging": neps_aging}),
    Peer("PyGlove", "pyglove", "pyglove", {"random": pyglove_random, "aging": pyglove_aging}),
    Peer("DEAP", "deap", "deap", {"generations": deap_generations}),
)
