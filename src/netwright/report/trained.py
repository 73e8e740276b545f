"""What a page says about networks trained in full: how good they are, whether the search paid, what they get wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from netwright.core.finals import RESIDUAL, Final
from netwright.core.objectives import Objective
from netwright.report import confusion, markup, mistakes
from netwright.report.markup import Html, Picture
from netwright.training import outcome
from netwright.training.outcome import Outcome

MISSING = "–"
SIMILAR = 2.0  # a reference of more than so many times the parameters, or less than that part, tells nothing
FREQUENT = 10  # confusions listed
THUMBNAIL = 160  # pixels; larger pictures are made smaller for the page


@dataclass(frozen=True)
class Examined:
    """A network trained in full, and how it does on each image."""

    final: Final
    outcome: Outcome

    @property
    def split(self) -> str:
        """Which images: test or validation."""
        split = self.final.objective.split
        return "validation" if split == "valid" else split


def outcome_of(final: Final) -> Outcome | None:
    """How the network does on each image; None: nothing was kept, or it cannot be read."""
    if final.folder is None:
        return None
    try:
        return outcome.read(final.folder / outcome.OUTCOME)
    except (OSError, SafetensorError):
        return None


def examined(finals: Sequence[Final]) -> Examined | None:
    """The first network with an outcome, references left out, those measured on test images before others."""
    own = [final for final in finals if not final.reference]
    for final in sorted(own, key=_is_untested):
        if kept := outcome_of(final):
            return Examined(final, kept)
    return None


def table(named: Sequence[tuple[str, Final]]) -> Html:
    """One row per network; each comes with what its name is to begin with, such as its run."""
    columns = ("network", "trial", "setting", "params", "measure", "mean", "sd", "trainings")
    rows = [
        (
            f"{name}{final.label}",
            MISSING if final.trial_id is None else str(final.trial_id),
            final.setting or MISSING,
            f"{final.params:,}",
            final.objective.label,
            f"{final.mean:.4f}",
            MISSING if final.sd is None else f"{final.sd:.4f}",
            str(final.n),
        )
        for name, final in named
    ]
    return markup.table(columns, rows, ("trial", "params", "mean", "sd", "trainings"))


def verdict(finals: Sequence[Final]) -> str:
    """Whether the search paid, in a sentence or two: the first network found against a plain one trained the same way.

    Two standard errors are those of the means over several trainings and of the accuracy on so many images, together;
    that both networks saw the same images would make them smaller and is left out. `finals` are of one search.
    """
    pairs = [(found, rival) for found in _searched(finals) if (rival := _rival(found, finals))]
    if not pairs:
        if not _searched(finals):
            return ""
        return "Nothing of similar size was trained the same way, so these numbers do not say whether the search paid."
    found, rival = min(pairs, key=lambda pair: _is_untested(pair[0]))
    measure = found.objective
    gain = measure.score(found.mean) - measure.score(rival.mean)
    error = _standard_error(found, rival)
    is_open = gain == 0 or (error is not None and abs(gain) < 2 * error)
    opening = (
        "Whether the search paid is open" if is_open else "The search paid" if gain > 0 else "The search did not pay"
    )
    sentence = (
        f"{opening}: {found.label} has {measure.text(found.mean)} {measure.label} ({found.params:,} parameters), "
        f"the {rival.label} trained the same way {measure.text(rival.mean)} ({rival.params:,}). "
        f"That is {_difference(measure, found.mean - rival.mean)}"
    )
    if is_open and error is not None:
        sentence += f"; a difference this small may be chance (two standard errors: {measure.amount(2 * error)})"
    return sentence + (". Trained once only: another seed may change this." if min(found.n, rival.n) == 1 else ".")


def section(whose: str, seen: Examined, matrix: Html) -> Html:
    """The mistakes of a network: figure, most frequent confusions, classes, and images of the largest loss.

    Args:
        whose: Put after the title, as in " of a run".
        seen: The network.
        matrix: The figure of its confusion matrix.
    """
    kept, final = seen.outcome, seen.final
    counts = confusion.counts(kept)
    wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
    first = " after its first training" if final.n > 1 else ""
    setting = f", {final.setting}" if final.setting else ""
    told = f"{final.label}{setting}{first}: {wrong:,} of {total:,} images are taken for another class."
    told = " ".join([told, *(f"Note: {caveat}." for caveat in kept.caveats)])
    frequent = confusion.most_frequent(counts, FREQUENT)
    columns = ("confusion", "images", "of", "share")
    rows = [
        (
            f"{kept.classes[each.true]} taken for {kept.classes[each.predicted]}",
            f"{each.images:,}",
            f"{each.total:,}",
            f"{each.images / each.total:.1%}",
        )
        for each in frequent
    ]
    return markup.section(
        f"Mistakes on the {seen.split} images{whose}",
        told,
        matrix,
        markup.subsection("Most frequent confusions", markup.table(columns, rows, columns[1:])) if rows else "",
        markup.subsection("Classes, the hardest first", _classes(kept, counts)),
        markup.subsection("Images of the largest loss", markup.pictures(_pictures(kept))) if len(kept.worst) else "",
    )


def _classes(kept: Outcome, counts: np.ndarray) -> Html:
    accuracies = confusion.accuracies(counts)
    columns = ("number", "class", "images", "recognized", "accuracy", "most often taken for")
    rows = []
    for number in np.argsort(accuracies, kind="stable").tolist():  # NaN comes last
        others = counts[number] * (np.arange(len(counts)) != number)
        taken = f"{kept.classes[others.argmax()]} ({others.max():,})" if others.any() else MISSING
        accuracy = MISSING if np.isnan(accuracies[number]) else f"{accuracies[number]:.1%}"
        images, right = f"{counts[number].sum():,}", f"{counts[number, number]:,}"
        rows.append((str(number), kept.classes[number], images, right, accuracy, taken))
    return markup.table(columns, rows, ("number", "images", "recognized", "accuracy"))


def _pictures(kept: Outcome) -> list[Picture]:
    """The worst images as files: small ones as they are, larger ones as photographs of at most THUMBNAIL pixels."""
    found = []
    for image, (*lines, name) in zip(kept.worst, mistakes.captions(kept, kept.classes), strict=True):
        is_crisp = max(image.shape[:2]) <= mistakes.CRISP
        file, buffer = Image.fromarray(mistakes.picture(image)), BytesIO()
        if is_crisp:
            file.save(buffer, "PNG", optimize=True)
        else:
            file.thumbnail((THUMBNAIL, THUMBNAIL))
            file.save(buffer, "JPEG", quality=88)
        found.append(Picture(buffer.getvalue(), "png" if is_crisp else "jpeg", tuple(lines), name, is_crisp))
    return found


def _rival(found: Final, finals: Sequence[Final]) -> Final | None:
    """The plain network of the nearest size that was trained the same way, if one is near."""
    rivals = [
        final
        for final in finals
        if final.reference
        and final.label == RESIDUAL
        and final.metric == found.metric
        and final.way == found.way
        and 1 / SIMILAR <= final.params / max(found.params, 1) <= SIMILAR
    ]
    return min(rivals, key=lambda final: abs(final.params - found.params), default=None)


def _standard_error(one: Final, other: Final) -> float | None:
    """Of the difference of two means; None where nothing says."""
    tested = next((kept for final in (one, other) if one.objective.is_share and (kept := outcome_of(final))), None)
    if tested is None and (one.sd is None or other.sd is None):
        return None
    variance = sum(final.sd**2 / final.n for final in (one, other) if final.sd is not None)
    if tested is not None:
        variance += sum(final.mean * (1 - final.mean) for final in (one, other)) / len(tested.targets)
    return math.sqrt(variance)


def _searched(finals: Sequence[Final]) -> list[Final]:
    """Networks that a search found: whether it paid is not for published ones to say."""
    return [final for final in finals if not final.reference and final.trial_id is not None]


def _is_untested(final: Final) -> bool:
    return final.objective.split != "test"


def _difference(measure: Objective, value: float) -> str:
    if value == 0:
        return "no difference"
    return f"{measure.amount(abs(value))} {'more' if value > 0 else 'less'}"
