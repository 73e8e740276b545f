"""The task of labeled images, whatever their source: batches, loss, metrics, settings of augmentation to search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core import genes, seeds
from netwright.core.baselines import Baseline
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.protocols import Split
from netwright.core.records import IO, Preprocessing
from netwright.core.settings import Setting
from netwright.data import augment, by_class, strength
from netwright.data.augment import Augmentation as Augmentation  # tasks import it from here, with the rest
from netwright.data.by_class import ClassMeasures
from netwright.data.class_table import class_table
from netwright.data.image_splits import ArrayPixels as ArrayPixels
from netwright.data.image_splits import ImageSplits as ImageSplits
from netwright.data.on_device import DeviceImages
from netwright.data.outcome_recorder import OutcomeRecorder
from netwright.data.text import listed

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
EVENED = "classes count alike in training, so that probabilities are those where classes are equally frequent"
ALWAYS = (Objective("accuracy", shown="share"), Objective("loss", -1))  # measured unasked


@dataclass(frozen=True)
class Weighting:
    """How much each class counts in the training loss; what is measured never depends on it.

    Args:
        class_weights: "none": all images count alike; "balanced": all classes do, so that an image counts the more the
            fewer training images its class has; "logits": all classes do, by the logarithms of their shares of the
            training images, which the training loss adds to the logits, so that without them the network answers as if
            classes were equally frequent (Menon et al. 2021, "Long-tail learning via logit adjustment", equation 10).
    """

    class_weights: Literal["none", "balanced", "logits"] = "none"


class Undecoded(Protocol):
    """What is known of images before any is decoded."""

    def class_counts(self, split: str) -> tuple[int, ...]:
        """How many images of each class "train", "valid" or "test" is to have, broken ones and copies among them."""

    def sizes(self) -> tuple[int, ...]:
        """Sides that the images may sensibly be brought to, ascending."""

    @property
    def is_valid_given(self) -> bool:
        """Whether the user said which images validate."""


@dataclass(frozen=True)
class ImageClassification:
    """A task of labeled images, whatever their source.

    Args:
        io: Shape of the images as evaluation sees them, and number of classes.
        load: Reads the data; called once, when first needed.
        classes: Names of the classes, in order of the labels.
        augmentation: How training images are augmented.
        fit: How an image of another size becomes one of this size; see `Preprocessing`.
        preparation: Makes the data ready, and tells people about it; None: loading is all there is.
        weighting: How much the images of each class count in the training loss.
        more: Names of the metrics of `offered` that are measured besides accuracy and loss.
        undecoded: What is known before the data is loaded; None: the data says it.
    """

    io: IO
    load: Callable[[], ImageSplits]
    classes: tuple[str, ...]
    augmentation: Augmentation = Augmentation()
    fit: Literal["crop", "stretch", "pad"] = "crop"
    preparation: Callable[[], Iterator[str]] | None = None
    weighting: Weighting = Weighting()
    more: tuple[str, ...] = ()
    undecoded: Undecoded | None = None
    offered: ClassVar[tuple[Objective, ...]] = by_class.OFFERED

    @property
    def measures(self) -> tuple[Objective, ...]:
        """Accuracy, loss, and what else was asked for."""
        return (*ALWAYS, *(each for each in self.offered if each.name in self.more))

    def measuring(self, names: Sequence[str]) -> ImageClassification:
        """The same images, of which these metrics are measured too. Raises BadReference for one that is always 1."""
        if by_class.TOP5 in names and len(self.classes) <= by_class.TOP:
            raise BadReference(
                f"{by_class.TOP5} of {len(self.classes)} classes is always 1; name another objective, such as accuracy"
            )
        return replace(self, more=tuple(names), load=lambda: self.data)

    @cached_property
    def data(self) -> ImageSplits:
        """The images and their splits."""
        return self.load()

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return self.data.examples(split)

    def resplit(self, index: int, count: int) -> ImageClassification:
        """Division `index` of `count` of the training and validation images; no image is decoded or copied for it.

        Raises:
            BadReference: There is no such division.
        """
        if not 0 <= index < count:
            raise BadReference(f"division {index} of {count} of the images was asked for; they count from 0")
        return replace(self, load=lambda: self.data.resplit(index))

    def class_counts(self, split: Split) -> tuple[int, ...]:
        """How many images of each class the split has, in order of `classes`."""
        counts = self.data.class_counts(split)
        return counts + (0,) * (len(self.classes) - len(counts))

    def expected_counts(self, split: Split) -> tuple[int, ...]:
        """How many images of each class the split is to have: what is known before any is decoded or found broken."""
        if self.undecoded is None:
            return self.class_counts(split)
        parts = split.split("+")
        return tuple(map(sum, zip(*(self.undecoded.class_counts(part) for part in parts), strict=True)))

    @property
    def is_divisible(self) -> bool:
        """Whether training and validation images may change places: not where the user said which ones validate.

        Those may be of other people or places than the training images, so that other divisions would be too easy.
        """
        return not (self.undecoded and self.undecoded.is_valid_given)

    def candidate_sizes(self) -> tuple[int, ...]:
        """Sides, ascending, that the images may sensibly be brought to; where there is no option `size`, the larger."""
        return self.undecoded.sizes() if self.undecoded else (max(self.io.height, self.io.width),)

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: float32 images (B, C, H, W), augmented if there is `rng`, and labels; see `ImageSplits.batches`."""
        return self.data.batches(split, size, rng, self.augmentation)

    def shared_batches(
        self, split: Split, size: int, rng: np.random.Generator, shares: Callable[[int], Sequence[slice]]
    ) -> Iterator[tuple[Tensor, Tensor, int]]:
        """The part of a process in a pass of `batches`; see `ImageSplits.shared_batches`."""
        return self.data.shared_batches(split, size, rng, self.augmentation, shares)

    def on_device(self, split: Split, device: torch.device) -> DeviceImages:
        """The split for a device that makes the batches; see `ImageSplits.on_device`."""
        return self.data.on_device(split, device, self.augmentation)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats, by class as the task says (`Weighting`).

        The weighted sum is divided by the number of images, not by the sum of weights, so that the mean over the parts
        of a batch is that of the whole.
        """
        adjustment = self.adjustment(outputs.device)
        if adjustment is not None:
            return F.cross_entropy(outputs + adjustment, targets)
        weights = self.weights(targets)
        if weights is None:
            return F.cross_entropy(outputs, targets)
        return (F.cross_entropy(outputs, targets, reduction="none") * weights).mean()

    def weights(self, targets: Tensor) -> Tensor | None:
        """How much each image counts in the training loss, shape (B,); None: all alike."""
        if self.weighting.class_weights != "balanced":
            return None
        return self._by_class(targets.device)[targets]

    def adjustment(self, device: torch.device) -> Tensor | None:
        """What the training loss adds to logits, shape (classes,): logarithms of the classes' shares; None: nothing."""
        return self._by_class(device) if self.weighting.class_weights == "logits" else None

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Accuracy (0 or 1) and cross entropy (nats) of every example, and top-5 if asked for, each of shape (B,)."""
        found = {
            "accuracy": (outputs.argmax(1) == targets).float(),
            "loss": F.cross_entropy(outputs, targets, reduction="none"),
        }
        return found | {by_class.TOP5: by_class.top5(outputs, targets)} if by_class.TOP5 in self.more else found

    def gathering(self) -> ClassMeasures | None:
        """What gathers the metrics that were asked for and are no means over images; None: there are none."""
        names = [name for name in self.more if name != by_class.TOP5]
        return ClassMeasures(len(self.classes), names) if names else None

    def baselines(self, split: Split) -> tuple[Baseline, ...]:
        """What is measured of naming the largest class of the split always."""
        return by_class.baselines(self.class_counts(split), self.measures)

    def recorder(self, split: Split) -> OutcomeRecorder:
        """Keeps what became of each image of the split."""
        return OutcomeRecorder(self, split)

    @property
    def tunable(self) -> dict[str, Setting]:
        """Settings of how training images are augmented: as one number, in steps, or in detail."""
        most = min(self.io.height, self.io.width) // 2
        found = [
            Setting("strength", strength.OWN, low=0.0, high=1.0),
            Setting("augment", "as given", ("as given", *augment.PRESETS)),
            Setting("flip", self.augmentation.flip, (False, True)),
            Setting("cutout", self.augmentation.cutout, low=0, high=max(most, self.augmentation.cutout, 1)),
            Setting("brightness", self.augmentation.brightness, low=0.0, high=max(0.4, self.augmentation.brightness)),
            Setting("contrast", self.augmentation.contrast, low=0.0, high=max(0.4, self.augmentation.contrast)),
        ]
        return {setting.name: setting for setting in found}

    def tuned(self, values: Mapping[str, Any]) -> ImageClassification:
        """The same images, augmented in this way; what is named in detail overrides what strength and steps say.

        Raises:
            BadReference: Values that do not go together.
        """
        named = values.get("augment", "as given")
        size = self.io.height, self.io.width
        begun = self.augmentation if named == "as given" else augment.preset(named, *size)
        begun = strength.scaled(begun, values.get("strength", strength.OWN), *size)
        options = {name: value for name, value in values.items() if name not in ("augment", "strength")}
        return replace(self, augmentation=replace(begun, **options), load=lambda: self.data)

    def prepare(self) -> Iterator[str]:
        """Make the data ready; yields sentences for people."""
        if self.preparation is None:
            yield from class_table({split: self.class_counts(split) for split in SPLITS}, self.classes)
            return
        yield from self.preparation()

    def preprocessing(self) -> Preprocessing:
        """What happens to an image before the network sees it, with what was measured on the training images."""
        io, data = self.io, self.data
        return Preprocessing(io.channels, io.height, io.width, self.fit, data.mean, data.sd, self.classes, data.span)

    def pixels(self, split: Split, positions: Sequence[int]) -> np.ndarray:
        """Images of a split before normalization, without augmentation: uint8, shape (B, H, W, C)."""
        return self.data.pixels.take(self._places(split, positions))

    def names(self, split: Split, positions: Sequence[int]) -> list[str]:
        """Where images of a split come from."""
        return [self.data.names(place) for place in self._places(split, positions).tolist()]

    def fingerprint(self) -> str:
        """Digest of names, classes, splits and mean pixels: tells this data from any other, wherever the images are.

        The splits are those of the first division. Behind a dash, which earlier releases did not have, stands a digest
        of what is known of the images' content; see `whereabouts.is_same_data`.
        """
        means = [round(value, 3) for value in (*self.data.mean, *self.data.sd)]  # decoders differ in further digits
        measured = (self.classes, means)
        digest = hashlib.blake2b(json.dumps(measured).encode(), digest_size=16)
        for split in SPLITS:
            places = self.data.first[split]
            named = [(self.data.names(p), int(self.data.labels[p])) for p in places.tolist()]
            digest.update(json.dumps([split, named]).encode())
        content = list(self.data.content())
        return "-".join([digest.hexdigest(), *([genes.digest(json.dumps(content))] if content else [])])

    def caveats(self) -> tuple[str, ...]:
        """Sentences to stand beside any accuracy on this data."""
        evened = () if self.weighting.class_weights == "none" else (EVENED,)
        return (*self.data.caveats, *evened, *(self._lacking() if self.gathering() else ()))

    def _lacking(self) -> Iterator[str]:
        """A sentence on each split that is measured and lacks a class, which no mean over classes can count."""
        for split in ("valid", "test"):
            counts = self.class_counts(split)
            lacking = [name for label, name in enumerate(self.classes) if label >= len(counts) or not counts[label]]
            if lacking:
                yield f"no {split} image is of class {listed(lacking)}, which means over classes there leave out"

    def _by_class(self, place: torch.device) -> Tensor:
        """What `class_weights` makes of the classes' training images, shape (classes,), on a device.

        It is copied there once: a copy at every step would wait for the device.
        """
        if place not in self._class_numbers:
            made = by_class.class_weights if self.weighting.class_weights == "balanced" else by_class.log_shares
            self._class_numbers[place] = made(self.class_counts("train")).to(place)
        return self._class_numbers[place]

    @cached_property
    def _class_numbers(self) -> dict[torch.device, Tensor]:
        """What `_by_class` gave each device that asked for it."""
        return {}

    def _places(self, split: Split, positions: Sequence[int]) -> np.ndarray:
        return self.data.positions[split][np.asarray(positions, dtype=np.int64)]


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """The positions of `labels` (N,) in random order, every stretch of which has all classes in proportion.

    Splits are cut from it one after the other: each is stratified, and so are its first images.
    """
    rng = seeds.rng_for(seed, seeds.SPLIT)
    order = rng.permutation(len(labels))
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    places = (ranks(labels, order) + rng.random(len(counts))[number]) / counts[number]  # from 0 to 1 in each class
    return np.argsort(places, kind="stable")


def ranks(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Position of each of the images (N,) among those of its class in that order, from 0."""
    by_class = order[np.argsort(labels[order], kind="stable")]
    _, counts = np.unique(labels, return_counts=True)
    result = np.empty(len(labels), np.int64)
    result[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return result
