"""What a timed run makes of its task where nobody says otherwise: size of images, augmentation, what classes count.

Defaults were chosen on images that are not reported on: on 62 characters of fonts that were not trained on, turns and
zoom were worth 5 points after 80 seconds (73.3 % without, 78.6 % with), on four classes of CIFAR-10 nothing; on two
gray classes of CIFAR-10, 90 to 10, the logits 5 (balanced accuracy 87.7 %, 93.0 %), and mirroring another 2 (95.1 %).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from netwright.core import refs
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.data.by_class import BALANCED
from netwright.data.images import ImageClassification, stratified_order
from netwright.data.mirroring import Chirality, chirality
from netwright.runs.timed.wish import image_task_of

# options of tasks of images
SIZE: Final = "size"  # of those that bring images to any, see `ImageClassification.candidate_sizes`
MIRROR, WEIGHTS = "flip", "class_weights"
TURN, ZOOM = "rotation", "zoom"

TURNED: Final = (15.0, 10.0)  # degrees by which training images are turned at first, not mirrored and mirrored
ZOOMED: Final = 0.01  # of a width or height, for each of these degrees

COLORS: Final = 3  # channels of an image in color
LOOKED_AT, SEED = 3_000, 0  # images that tell whether they may be mirrored, and what they are drawn with


def sized(named: Reference, side: int) -> Reference:
    """The task with images of this size, where it has them made to size and nobody says how large."""
    return _with(named, {SIZE: side})


def suited(
    named: Reference, task: ImageClassification, objective: str, say: Callable[[str], None]
) -> tuple[Reference, ImageClassification]:
    """The task with distorted training images, mirrored or not, and with classes that count as in what is maximized.

    Args:
        named: The task.
        task: The same, its data made ready.
        objective: Name of what is maximized.
        say: Called with a sentence on each thing that is not as the task has it by itself.
    """
    for suiting in (_mirrored, _distorted, partial(_evened, objective)):
        options, why = suiting(task)
        if why and (changed := _with(named, options)) != named:
            say(why)
            named, task = changed, image_task_of(changed)
    return named, task


def _with(named: Reference, options: Mapping[str, Any]) -> Reference:
    """The task with these options, where it has them and nobody gave any of them."""
    known = refs.options_of(refs.locate("task", named.name))
    if named.options.keys() & options.keys() or not options.keys() <= known.keys():
        return named
    return Reference(named.name, {**named.options, **options})


def _mirrored(task: ImageClassification) -> tuple[Mapping[str, Any], str]:
    """Whether to mirror training images at first, and why in a sentence, which is empty where the task does so itself.

    Few images do not tell; of these, a gray one may be a letter or a digit.
    """
    found = _chirality(task)
    is_mirrored = task.io.channels == COLORS if found.may_mirror is None else found.may_mirror
    if is_mirrored == task.augmentation.flip:
        return {}, ""
    if found.may_mirror is None:
        why = "training images do not tell whether mirror images are as good: they are "
        why += "in color, and so half of the training images are" if is_mirrored else "gray, and so none is"
    else:
        why = f"{found.told:.0%} of {found.images:,} images can be told from their mirror images, by chance 50 %: "
        why += "half of the training images are" if is_mirrored else "none is"
    other = "false" if is_mirrored else "true"
    return {
        MIRROR: is_mirrored
    }, f"{why} mirrored at first; the search tries both (--task.{MIRROR} {other} begins with that)"


def _chirality(task: ImageClassification) -> Chirality:
    """How far training images can be told from their mirror images, by some of each class."""
    data = task.data
    places = data.positions["train"]
    order = places[stratified_order(data.labels[places], SEED)[:LOOKED_AT]]
    return chirality(data.pixels.take(order), data.labels[order])


def _distorted(task: ImageClassification) -> tuple[Mapping[str, Any], str]:
    """How far to turn and zoom training images at first, further where they are not mirrored, and that in a sentence.

    Windows of several sizes (`area`) take the place of it.
    """
    if task.augmentation.area:
        return {}, ""
    degrees = TURNED[task.augmentation.flip]
    zoom = round(ZOOMED * degrees, 4)
    return {TURN: degrees, ZOOM: zoom}, (
        f"training images are turned by up to {degrees:g} degrees and zoomed by up to {zoom:.0%} at first; the search "
        f"tries less (--task.{TURN} 0 begins without)"
    )


def _evened(objective: str, task: ImageClassification) -> tuple[Mapping[str, Any], str]:
    """How classes count in training, and why in a sentence; it is empty where they count as the task has it."""
    if Objective.read(objective).name != f"valid_{BALANCED}":
        return {}, ""
    counts = task.class_counts("train")
    return {WEIGHTS: "logits"}, (
        f"classes have {min(counts):,} to {max(counts):,} training images, and count alike in training as in what is "
        f"maximized (--task.{WEIGHTS} none lets all images count alike)"
    )
