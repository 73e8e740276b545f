"""What a timed run makes of its task where nobody says otherwise: size of images, augmentation, what classes count.

Defaults were chosen on images that are not reported on, when timed runs trained by SGD; `benchmarks/augmentation.py`
repeats the comparison with what they train by now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any, Final

import numpy as np

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.data.by_class import BALANCED
from netwright.data.images import ImageClassification, Weighting, stratified_order
from netwright.data.mirroring import LEAST_OF_A_CLASS, Chirality, chirality, shrunk
from netwright.runs.timed.timetable import between
from netwright.runs.timed.wish import image_task_of

# options of tasks of images
SIZE: Final = "size"  # of those that bring images to any, see `ImageClassification.candidate_sizes`
MIRROR, WEIGHTS = "flip", "class_weights"
TURN, ZOOM = "rotation", "zoom"

TURNED: Final = (15.0, 10.0)  # degrees by which training images are turned at first, not mirrored and mirrored
ZOOMED: Final = 0.01  # of a width or height, for each of these degrees
# Passes of the plain network up to which mirrored images are not turned, and from which on they are as far as usual: a
# guess between the 38 in which none was better and the 79 in which all was not worse (docs/tasks.md); images that are
# not mirrored were not compared
PASSES: Final = (30.0, 60.0)
COLORS: Final = 3  # channels of an image in color
LOOKED_AT, AT_ONCE, SEED = 3_000, 256, 0  # images that tell whether they may be mirrored; read at once; of the draw


def sized(named: Reference, task: ImageClassification, side: int) -> Reference:
    """The task with images of this size, where it may have others and nobody says how large they are to be.

    Args:
        named: The task.
        task: The same.
        side: Side of the images, in pixels.
    """
    own = max(task.io.height, task.io.width)
    if side == own or task.candidate_sizes() == (own,):
        return named
    return Reference(named.name, {**named.options, **_free(named, {SIZE: side})})


def distorted(named: Reference, task: ImageClassification) -> ImageClassification:
    """The task as far as it is known before its data is: what its steps will cost at most, with turns and zoom."""
    own = task.augmentation
    turning = _free(named, _turned(own.flip))
    if _distorts(task) or not turning:
        return task
    return replace(task, augmentation=replace(own, rotation=turning[TURN], zoom=turning[ZOOM]))


def suited(
    named: Reference,
    task: ImageClassification,
    objective: str,
    say: Callable[[str], None],
    passes: float = inf,
) -> tuple[Reference, ImageClassification]:
    """The task with distorted training images, mirrored or not, and with classes that count as in what is maximized.

    What the user gave stays, and so does what the task does by itself, but for mirroring.

    Args:
        named: The task.
        task: The same, its data made ready.
        objective: Name of what is maximized.
        say: Called with a sentence on each thing that is not as the task has it by itself.
        passes: How often the plain network would see the images in all of the time. Those that are mirrored are turned
            less where that is a few times only: there is enough to learn from them as they are.
    """
    found = _chirality(task) if _free(named, {MIRROR: False}) else None
    mirroring = _mirrored(task, found) if found else {}
    flip = mirroring[MIRROR] if mirroring else task.augmentation.flip
    turning = {} if _distorts(task) else _free(named, _turned(flip, passes))
    evening = _free(named, _evened(task, objective))
    options = {**named.options, **mirroring, **turning, **evening}
    try:
        changed = Reference(named.name, options)
        made = image_task_of(changed)
    except BadReference:  # a task of one's own whose options of these names are others
        return named, task
    if found and mirroring:
        say(_why(found, flip=flip))
    if turning:
        say(
            f"training images are turned by up to {turning[TURN]:g} degrees and zoomed by up to "
            f"{100 * turning[ZOOM]:g}% at first (--task.{TURN} 0: not)"
        )
    elif not _distorts(task) and _free(named, _turned(flip)):
        say(f"training images are not turned, since the plain network would see each {passes:.0f} times only")
    if evening:
        counts = task.class_counts("train")
        say(
            f"classes have {min(counts):,} to {max(counts):,} training images, and count alike in training as in what "
            f"is maximized (--task.{WEIGHTS} none: all images do)"
        )
    return changed, replace(made, load=lambda: task.data)


def _free(named: Reference, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """These options, where the task has them and nobody gave any of them; else none."""
    known = refs.options_of(refs.locate("task", named.name))
    return options if options.keys() <= known.keys() and not named.options.keys() & options.keys() else {}


def _turned(flip: bool, passes: float = inf) -> Mapping[str, float]:
    """How far training images are turned and zoomed: further where mirroring does not make others of them."""
    degrees = round(between(passes, *PASSES) * TURNED[True], 1) if flip else TURNED[False]
    return {TURN: degrees, ZOOM: round(ZOOMED * degrees, 4)} if degrees else {}


def _distorts(task: ImageClassification) -> bool:
    """Whether the task turns or zooms by itself, or cuts out windows of several sizes, which do the same."""
    return bool(task.augmentation.rotation or task.augmentation.zoom or task.augmentation.area)


def _mirrored(task: ImageClassification, found: Chirality) -> Mapping[str, bool]:
    """Whether to mirror training images at first, where the task does otherwise by itself; else nothing.

    Where images do not tell, a gray one may be a letter or a digit.
    """
    is_mirrored = task.io.channels == COLORS if found.may_mirror is None else found.may_mirror
    return {} if is_mirrored == task.augmentation.flip else {MIRROR: is_mirrored}


def _why(found: Chirality, flip: bool) -> str:
    """Why training images are mirrored, or not, in a sentence."""
    if found.may_mirror is None:
        why = "training images do not tell whether mirror images are as good: they are "
        why += "in color, and so half of them are" if flip else "gray, and so none is"
    else:
        why = f"{found.told:.0%} of {found.images:,} images can be told from their mirror images, by chance 50 %: "
        why += "half of them are" if flip else "none is"
    return f"{why} mirrored at first (--task.{MIRROR} {'false' if flip else 'true'}: otherwise)"


def _chirality(task: ImageClassification) -> Chirality:
    """How far training images can be told from their mirror images, by some of each class in their own order."""
    data, places = task.data, task.data.positions["train"]
    count = max(LOOKED_AT, 2 * LEAST_OF_A_CLASS * len(task.classes))
    order = np.sort(stratified_order(data.labels[places], SEED)[:count])
    parts = np.array_split(places[order], -(-len(order) // AT_ONCE))
    images = np.concatenate([shrunk(data.pixels.take(part)) for part in parts])
    return chirality(images, data.labels[places[order]])


def _evened(task: ImageClassification, objective: str) -> Mapping[str, str]:
    """How classes count in training, where that is not as the task has it by itself; else nothing."""
    is_even = Objective.read(objective).name != f"valid_{BALANCED}" or task.weighting != Weighting()
    return {} if is_even else {WEIGHTS: "logits"}
