"""The trials of a run as an Optuna study, for Optuna's plots and its dashboard."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from netwright.core import building, extras, objectives
from netwright.core.errors import StoreError
from netwright.core.genes import Choice, Gene, Real
from netwright.core.objectives import Objective
from netwright.core.records import Trial
from netwright.core.trust import of_typed
from netwright.runs import run_folder

NEED: Final = ("optuna", "an Optuna study")  # the extra, and what needs it


def optuna_study(folder: str | Path, storage: Any = None, *, name: str | None = None, trust: bool = False) -> Any:
    """The finished trials of a run as an Optuna study, in order of finishing.

        study = netwright.optuna_study("runs/digits", "sqlite:///digits.db")   # then: optuna-dashboard sqlite:///digits.db
        optuna.visualization.plot_param_importances(study)

    Genes are the parameters, with names of options where there are any; objectives are the values, as measured, with
    their directions. The curve of a trial is its intermediate values. Trials at smaller budgets than the largest one do
    not compare with the others: they are pruned, so that the best trial is that of the run. What failed, failed.
    Metrics and what a strategy derived a trial from are attributes of it. Trials take as long as they took; the times
    of day were never written down, and stand for one worker that ended now.

    Args:
        folder: Folder of the run.
        storage: Where Optuna keeps the study: an address, as in "sqlite:///digits.db", or an object; None: memory.
        name: Name of the study; None: that of the folder.
        trust: Whether a space is loaded that neither comes with netwright nor is installed; see `Run`.

    Returns:
        An `optuna.Study`.

    Raises:
        MissingCapability: Optuna is not installed.
        StoreError: The folder holds no run, or the storage already has a study of that name.
        BadReference: The space is not trusted.
    """
    optuna, place = extras.load("optuna", *NEED), Path(folder)
    with closing(run_folder.open_table(place, "inspect")) as store:
        run = run_folder.stored_run(store, place, of_typed({}, {}, [], trust=trust))
        trials = [trial for page in run_folder.pages(store) for trial in objectives.with_scores(page, run.objectives)]
    genes = building.load_space(run.space).genes
    goals = objectives.shown(run.objectives)
    budget = objectives.judged_budget(trials)
    moments = _moments(trials)
    frozen = [_frozen(optuna, genes, goals, trial, budget, when) for trial, when in zip(trials, moments, strict=True)]
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name or place.resolve().name,
            directions=["minimize" if goal.is_minimized else "maximize" for goal in goals],
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise StoreError(
            f"{storage} already has a study {name or place.resolve().name!r}; give another name, or another storage"
        ) from None
    with warnings.catch_warnings(action="ignore"):  # a name for what is measured is experimental
        study.set_metric_names([goal.name for goal in goals])
    study.set_user_attr("strategy", str(run.strategy))
    study.set_user_attr("space", str(run.space))
    study.set_user_attr("task", run.task.name)
    study.add_trials(frozen)
    return study


def _moments(trials: Sequence[Trial]) -> list[tuple[datetime, datetime]]:
    """When trials began and ended, had one worker played them one after the other until now."""
    took = [trial.result.seconds if trial.result else 0.0 for trial in trials]
    begin = datetime.now() - timedelta(seconds=sum(took))
    ends = [begin + timedelta(seconds=passed) for passed in accumulate(took)]
    return list(zip([begin, *ends][: len(ends)], ends, strict=True))


def _frozen(
    optuna: Any,
    genes: Sequence[Gene],
    goals: Sequence[Objective],
    trial: Trial,
    budget: int | None,
    when: tuple[datetime, datetime],
) -> Any:
    states = optuna.trial.TrialState
    state = states.FAIL if trial.scores is None else states.COMPLETE
    if trial.scores is not None and trial.proposal.budget != budget:
        state = states.PRUNED
    result, asked = trial.result, trial.proposal
    assert result is not None, "finished trials have results"
    values = [goal.measured(score) for goal, score in zip(goals, trial.scores or (), strict=bool(trial.scores))]
    about = {"trial": trial.id, "key": trial.key, "parents": list(asked.parents), "budget": asked.budget}
    about |= {"failure": result.failure, "message": result.message[-500:]} if result.failure else {}
    found = optuna.trial.create_trial(
        state=state,
        values=values if state == states.COMPLETE else None,
        params={gene.name: _value(gene, value) for gene, value in zip(genes, asked.genotype, strict=True)},
        distributions={gene.name: _distribution(optuna.distributions, gene) for gene in genes},
        user_attrs={**about, **result.metrics},
        intermediate_values=dict(result.curve),
    )
    found.datetime_start, found.datetime_complete = when
    return found


def _value(gene: Gene, value: float) -> str | float:
    return gene.options[int(value)] if isinstance(gene, Choice) else value


def _distribution(distributions: Any, gene: Gene) -> Any:
    if isinstance(gene, Choice):
        return distributions.CategoricalDistribution(gene.options)
    if isinstance(gene, Real):
        return distributions.FloatDistribution(gene.low, gene.high)
    return distributions.IntDistribution(gene.low, gene.high)
