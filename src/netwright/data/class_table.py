"""How many images of which class are in which split, for people: a short table, and which class is in the majority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netwright.data.text import DOES, counted, listed, shortened

ROWS = 10  # of classes; of more, the largest and the smallest are shown
FEW = 5  # classes that have rows even when all are alike
UNEVEN = 1.2  # times the images that a class would have if all were alike


def class_table(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> Iterator[str]:
    """Lines of a table, or one of many classes that are alike; for each split that is uneven, its largest class.

    Args:
        counts: Images of each class, in order of `classes`, by split.
        classes: Names of the classes.
    """
    if len(classes) > FEW and all(_is_even(split) for split in counts.values()):
        spans = ", ".join(f"{_span(split)} to {DOES[name]}" for name, split in counts.items())
        yield f"images of each of {len(classes):,} classes: {spans}; {listed([shortened(name) for name in classes])}"
        return
    sizes = [sum(split[n] for split in counts.values()) for n in range(len(classes))]
    by_size = sorted(range(len(classes)), key=lambda n: (-sizes[n], n))
    half = ROWS // 2
    is_whole = len(classes) <= ROWS
    first, last = (list(range(len(classes))), []) if is_whole else (by_size[:half], by_size[-half:])
    rows = [(shortened(classes[n], 40), [f"{split[n]:,}" for split in counts.values()]) for n in (*first, *last)]
    if not is_whole:
        between = by_size[half:-half]
        cells = [_span([split[n] for n in between]) for split in counts.values()]
        rows.insert(half, (f"({counted(len(between), 'class')} between)", cells))
    rows.append(("all", [f"{sum(split):,}" for split in counts.values()]))
    title = "images of each class" if is_whole else f"images of {len(classes):,} classes"
    rows.insert(0, (title, [*counts]))
    wide = max(len(name) for name, _ in rows)
    widths = [max(len(cells[n]) for _, cells in rows) for n in range(len(counts))]
    for name, cells in rows:
        yield f"  {name:<{wide}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    yield from majorities(counts, classes)


def majorities(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> Iterator[str]:
    """For each split whose classes are uneven, its largest class and the share: what always guessing it would get."""
    for name, split in counts.items():
        total, most = sum(split), max(split)
        if most * len(classes) > UNEVEN * total:
            yield (
                f"{name}: {most:,} of {counted(total, 'image')} are {shortened(classes[split.index(most)])!r} "
                f"({100 * most / total:.2f} %)"
            )


def _is_even(split: Sequence[int]) -> bool:
    mean = sum(split) / len(split)
    return max(split) <= UNEVEN * mean and mean <= UNEVEN * min(split)


def _span(values: Sequence[int]) -> str:
    least, most = min(values), max(values)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
