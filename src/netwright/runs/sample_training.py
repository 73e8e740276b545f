"""`train --sample`: networks from all over the scores of a search trained alone, to see whether the scores are right.

The best of a search say little about its scores, as all of them look good. So the networks are put in order of their
score and cut into as many parts as are asked for, and one is drawn from each. They are trained from seeds that the
search did not draw, on the training data alone, and measured on the validation data: the test data is for what ships.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.core import ranking, seeds
from netwright.core.errors import BadRunFile
from netwright.core.finals import SAMPLED, Candidate, Final
from netwright.core.run_file import RunFile
from netwright.data.text import counted
from netwright.report.history import History
from netwright.runs import reporting, retraining
from netwright.runs.candidates import refuse_damaged
from netwright.runs.session import Session


def candidates(folder: Path, settings: RunFile, history: History, count: int) -> list[Candidate]:
    """Networks from all over the scores of a search, the best first; the same ones for the same trials.

    Args:
        folder: Folder of the search, for messages.
        settings: Its run file, whose seed draws them.
        history: Its finished trials.
        count: Number of networks, at least 3.

    Raises:
        BadRunFile: The number is below 3, or above that of networks whose scores compare.
        StoreError: Trials are damaged, so that it is not known which networks there are.
    """
    if count < ranking.FEWEST:
        raise BadRunFile(
            f"--sample is {count}; it must be at least {ranking.FEWEST}, since fewer have no order to speak of"
        )
    refuse_damaged(folder, history)
    places = drawn(history, count, np.random.default_rng(seeds.trial_seed(settings.seed, SAMPLED, 0)))
    trials = history.trials(places)
    return [Candidate(SAMPLED, trial.proposal.genotype, trial.id) for trial in trials]


def drawn(history: History, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of trials, one from each of so many parts of equal size in order of score, the best first.

    A network stands where its newest trial at the judged budget put it: scores at other budgets, and those of shared
    weights after other rounds, do not compare.

    Raises:
        BadRunFile: There are fewer networks than are asked for.
    """
    places = newest(history)
    if len(places) < count:
        raise BadRunFile(
            f"--sample is {count}, but the search has {counted(len(places), 'network')} with a score to compare; "
            + ("give at most that" if len(places) >= ranking.FEWEST else "search more first")
        )
    ordered = places[np.argsort(-history.scores[places], kind="stable")]
    return np.array([rng.choice(part) for part in np.array_split(ordered, count)])


def newest(history: History) -> np.ndarray:
    """Positions of the trials of a search whose scores compare, the newest of each network, in order of finishing."""
    judged = np.flatnonzero(history.is_judged & ~np.isnan(history.scores))
    _, last = np.unique(history.keys[judged][::-1], return_index=True)
    return np.sort(judged[len(judged) - 1 - last])


def train(
    session: Session, folder: Path, settings: RunFile, chosen: list[Candidate], changes: retraining.Changes
) -> list[Final]:
    """Train a sample and say what it tells of the scores.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run.
        settings: Run file of the trainings, which measure what the search did.
        chosen: The networks.
        changes: Options by part, put over those of the run file.

    Returns:
        What was measured of each network.

    Raises:
        Drained: The trainings were stopped before their end.
        StoreError: All trainings failed.
    """
    session.say(f"a sample of {len(chosen)} networks is trained on the training data, the worst to the best by score")
    found = retraining.train_anew(session, folder, settings, chosen, changes)
    told = reporting.ranking(folder, settings.objectives)
    for sentence in told.sentences() if told else ():
        session.say(sentence)
    return found
