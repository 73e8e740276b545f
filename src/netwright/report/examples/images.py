"""Classified images: what a network takes for what, and the images of the largest loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from safetensors import SafetensorError

from netwright.core.finals import Final
from netwright.data import outcome
from netwright.data.outcome import Outcome
from netwright.report import markup
from netwright.report.examined import Kind
from netwright.report.examples import confusion, mistakes
from netwright.report.markup import MISSING, Html, Picture

CAPTIONS = {
    "confusion": "Images by true and predicted class; the color says the share of the true class",
    "worst": "Mistakes of the largest loss",
}
FREQUENT = 10  # confusions listed
THUMBNAIL = 160  # pixels; larger pictures are made smaller for the page


@dataclass(frozen=True)
class ImageExamples:
    """The images of a split, and what a network took them for."""

    outcome: Outcome

    @property
    def count(self) -> int:
        """Number of images in the split."""
        return len(self.outcome.targets)

    def figures(self) -> dict[str, Figure]:
        """The confusion matrix, and the mistakes of the largest loss where there are any."""
        kept = self.outcome
        wrong = mistakes.only_mistakes(kept)
        worst = {"worst": mistakes.worst(wrong)} if len(wrong.worst) else {}
        return {"confusion": mistakes.matrix(confusion.counts(kept), kept.classes), **worst}

    def section(self, final: Final, whose: str, drawn: Mapping[str, Html]) -> Html:
        """The mistakes of a network: figure, most frequent confusions, classes, and mistakes of the largest loss.

        The images are put into the page as files of their own, not as the figure.
        """
        kept = self.outcome
        counts = confusion.counts(kept)
        wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
        first = " after its first training" if final.n > 1 else ""
        setting = f", {final.setting}" if final.setting else ""
        told = f"{final.label}{setting}{first}: {wrong:,} of {total:,} images are taken for another class."
        told = " ".join([told, *(f"Note: {caveat}." for caveat in kept.caveats)])
        frequent = confusion.most_frequent(counts, FREQUENT)
        columns = ("confusion", "share", "images", "of")
        rows = [
            (
                f"{kept.classes[each.true]} taken for {kept.classes[each.predicted]}",
                f"{each.images / each.total:.1%}",
                f"{each.images:,}",
                f"{each.total:,}",
            )
            for each in frequent
        ]
        shown = mistakes.only_mistakes(kept)
        return markup.section(
            f"Mistakes on the {'test' if final.is_tested else 'validation'} images{whose}",
            told,
            drawn["confusion"],
            markup.subsection("Most frequent confusions", markup.table(columns, rows, columns[1:])) if rows else "",
            markup.subsection("Classes, the hardest first", _largest(kept, counts), _classes(kept, counts)),
            markup.subsection("Mistakes of the largest loss", markup.pictures(_pictures(shown)))
            if len(shown.worst)
            else "",
        )


def read(folder: Path) -> ImageExamples | None:
    """What a training left in its folder; None: no outcome of images, or it cannot be read."""
    try:
        return ImageExamples(outcome.read(folder / outcome.OUTCOME))
    except (OSError, SafetensorError):
        return None


def _largest(kept: Outcome, counts: np.ndarray) -> str:
    """What naming the largest class always would score; "" without images."""
    images = counts.sum(1)
    if not images.sum():
        return ""
    share = images.max() / images.sum()
    known = np.trace(counts) / images.sum()
    whose = np.flatnonzero(images == images.max())
    which = f"the largest class, {kept.classes[whose[0]]}," if len(whose) == 1 else "one of the largest classes"
    return f"Naming {which} always would recognize {share:.1%} of the images; this network recognizes {known:.1%}."


def _classes(kept: Outcome, counts: np.ndarray) -> Html:
    accuracies, total = confusion.accuracies(counts), max(int(counts.sum()), 1)
    columns = ("class", "accuracy", "recognized", "images", "share of all", "most often taken for", "number")
    rows = []
    for number in np.argsort(accuracies, kind="stable").tolist():  # NaN comes last
        others = counts[number] * (np.arange(len(counts)) != number)
        taken = f"{kept.classes[others.argmax()]} ({others.max():,})" if others.any() else MISSING
        accuracy = MISSING if np.isnan(accuracies[number]) else f"{accuracies[number]:.1%}"
        images, right = f"{counts[number].sum():,}", f"{counts[number, number]:,}"
        share = f"{counts[number].sum() / total:.1%}"
        rows.append((kept.classes[number], accuracy, right, images, share, taken, str(number)))
    return markup.table(columns, rows, ("accuracy", "recognized", "images", "share of all", "number"))


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


kind = Kind(CAPTIONS, read)
