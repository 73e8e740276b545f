"""What is said of decoded images: what was converted or left out, what looks as if it had been destroyed, what leaks.

Everything is counted, and the first few are named. What bears on accuracy stands beside every accuracy too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from netwright.core.errors import NetwrightError
from netwright.data.cache import Cache
from netwright.data.decode import DEEP, Form
from netwright.data.looks import FEW, FEW_DEEP, Instances
from netwright.data.splitting import SplitParts, once
from netwright.data.text import NAMED, counted, listed, shortened

MOST = 0.5  # share of the images above which a kind is all of the data's

Name = Callable[[int], str]


def check_content(opened: Cache, classes: int) -> None:
    """Raise NetwrightError when nothing is left in the images: all are of one color, and fewer colors than classes."""
    count = len(opened.kept)
    if count and opened.kinds["constant"].count == count and opened.different < classes:
        colors = "the same color" if opened.different == 1 else f"{opened.different} colors"
        raise NetwrightError(
            f"all {counted(count, 'decoded image')} are plain areas of {colors}, so that {classes} classes cannot be "
            f"told apart; look at the files: what they show may be lost at this size, or in how their values are stored"
        )


def sentences(opened: Cache, parts: SplitParts, name: Name, form: Form) -> Iterator[str]:
    """What was found, without the caveats.

    Args:
        opened: The decoded images.
        parts: Positions of the decoded images of each split.
        name: Where an image comes from.
        form: What the images were brought to.
    """
    for note, positions in sorted(opened.notes.items()):
        yield f"{counted(len(positions), 'image')} {note}: {_named(positions, name)}"
    if opened.span:
        low, high = opened.span
        yield f"in images of 16 or 32 bits, values from {low:,g} to {high:,g} become black to white"
    if opened.skipped:
        yield f"{counted(len(opened.skipped), 'broken image')} skipped: {named_faults(opened, name)}"
    left = np.setdiff1d(parts.chosen, once(parts, opened.copies).chosen).tolist()
    if left:
        yield f"{counted(len(left), 'image')} left out, a copy of which validates or tests: {_named(left, name)}"
    gray = opened.kinds["gray"]
    if form.channels == 3 and gray.count == len(opened.kept):
        yield f"all {counted(gray.count, 'image')} are gray, though there are 3 channels; 1 channel would do"
    elif form.channels == 3 and gray.count >= MOST * len(opened.kept):
        yield f"{gray.count:,} of {counted(len(opened.kept), 'image')} are gray: {_of_kind(gray, name)}"


def caveats(
    opened: Cache, parts: SplitParts, labels: np.ndarray, name: Name, is_gray_by_default: bool
) -> tuple[str, ...]:
    """What bears on any accuracy on this data.

    Args:
        opened: The decoded images.
        parts: Positions of the decoded images of each split.
        labels: Class of every position.
        name: Where an image comes from.
        is_gray_by_default: Whether one channel was chosen since the images that were looked at are gray.
    """
    return tuple(
        sentence
        for found in (
            _destroyed(opened, name),
            _colored(opened, name) if is_gray_by_default else (),
            _in_several_classes(opened, labels, name),
            _leaks(opened, parts, name),
        )
        for sentence in found
    )


def named_faults(opened: Cache, name: Name) -> str:
    """Broken images by kind, the part of a reason before its colon; the part behind it is told of each image."""
    kinds = defaultdict[str, list[str]](list)
    for position, reason in sorted(opened.skipped.items()):
        kind, _, detail = reason.partition(": ")
        kinds[kind].append(shortened(name(position)) + (f" ({shortened(detail)})" if detail else ""))
    return "; ".join(f"{len(found):,} {kind}: {listed(found)}" for kind, found in sorted(kinds.items()))


def _destroyed(opened: Cache, name: Name) -> Iterator[str]:
    count = len(opened.kept)
    constant, coarse = opened.kinds["constant"], opened.kinds["coarse"]
    if constant.count:
        yield (
            f"{constant.count:,} of {counted(count, 'image')} are plain areas of one color when decoded: "
            f"{_of_kind(constant, name)}"
        )
    if coarse.count > MOST * count:
        few, how = (FEW_DEEP, ", by how their values were scaled to 8 bits") if opened.notes.get(DEEP) else (FEW, "")
        yield (
            f"{coarse.count:,} of {counted(count, 'image')} have fewer than {few} levels of brightness when "
            f"decoded{how}: {_of_kind(coarse, name)}"
        )


def _colored(opened: Cache, name: Name) -> Iterator[str]:
    colored = opened.kinds["colored"]
    if colored.count:
        yield (
            f"{counted(colored.count, 'image')} in color made gray, since others of this data are gray: "
            f"{_of_kind(colored, name)}; --task.channels 3 keeps color"
        )


def _in_several_classes(opened: Cache, labels: np.ndarray, name: Name) -> Iterator[str]:
    groups = [group for group in opened.copies if len({int(labels[p]) for p in group}) > 1]
    if groups:
        pairs = []
        for group in groups[: NAMED + 1]:
            other = next(p for p in group if labels[p] != labels[group[0]])
            pairs.append(f"{shortened(name(group[0]))} and {shortened(name(other))}")
        yield (
            f"{counted(sum(map(len, groups)), 'image')} are in one class and, with the same pixels when decoded, in "
            f"another: {_listed(pairs, len(groups))}"
        )


def _leaks(opened: Cache, parts: SplitParts, name: Name) -> Iterator[str]:
    split = dict.fromkeys(parts.train.tolist(), 0)
    split |= dict.fromkeys(parts.valid.tolist(), 1) | dict.fromkeys(parts.test.tolist(), 2)
    pairs = [pair for pair in opened.near if split.get(pair[0]) != split.get(pair[1])]
    held = {max(pair, key=lambda position: split.get(position, 0)) for pair in pairs}
    if held:
        named = [f"{shortened(name(one))} and {shortened(name(other))}" for one, other in pairs[: NAMED + 1]]
        yield (
            f"{_holding(len(held))} nearly equal to images of another split, which "
            f"may make accuracies too high: {_listed(named, len(pairs))}"
        )


def _holding(count: int) -> str:
    return "1 image that validates or tests is" if count == 1 else f"{count:,} images that validate or test are"


def _of_kind(kind: Instances, name: Name) -> str:
    return _listed([shortened(name(position)) for position in kind.first], kind.count)


def _named(positions: Sequence[int], name: Name) -> str:
    return _listed([shortened(name(position)) for position in positions[:NAMED]], len(positions))


def _listed(names: Sequence[str], count: int) -> str:
    """The first few of so many names, and how many more there are."""
    more = f" and {count - NAMED:,} more" if count > NAMED else ""
    return ", ".join(names[:NAMED]) + more
