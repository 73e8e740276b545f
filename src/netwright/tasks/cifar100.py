"""CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 in 100 classes, or their 20 groups.

Reads the layout of the Hugging Face data set: a folder of `train*.parquet` and `test*.parquet` with the columns `img`
(encoded bytes), `fine_label` and `coarse_label`; without a folder, the `datasets` library fetches it. Part of the
training images, stratified by class, validates.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from netwright.data.cifar import PublishedImages, cifar, holds
from netwright.data.images import Augmentation, ImageClassification, Weighting
from netwright.data.options import located, recognizing, spread
from netwright.data.preparation import Keeping

COARSE = (
    *("aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices"),
    *("household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things"),
    *("large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates"),
    *("people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2"),
)
FINE = (
    *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy"),
    *("bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock"),
    *("cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish"),
    *("forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion"),
    *("lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange"),
    *("orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine"),
    *("possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk"),
    *("skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank"),
    *("telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale"),
    *("willow_tree", "wolf", "woman", "worm"),
)
PUBLISHED = {
    "fine": PublishedImages("CIFAR-100", "uoft-cs/cifar100", ("fine_label", "label"), FINE),
    "coarse": PublishedImages("CIFAR-100", "uoft-cs/cifar100", ("coarse_label", "label"), COARSE),
}


@recognizing(partial(holds, PUBLISHED["fine"]))
@located("path", "cache", "memory_share")
@spread("weighting")
@spread("augmentation")
def cifar100(
    path: str | None = None,
    labels: Literal["fine", "coarse"] = "fine",
    valid: int = 10_000,
    split_seed: int = 0,
    train_limit: int | None = None,
    augmentation: Augmentation = Augmentation(flip=True),
    weighting: Weighting = Weighting(),
    cache: str | None = None,
    memory_share: float = 0.05,
    broken_share: float = 0.01,
) -> ImageClassification:
    """32x32 color images of 100 classes or 20 groups of them.

    Args:
        path: Folder of the parquet files; None: fetched with `datasets`.
        labels: "fine": the 100 classes; "coarse": the 20 groups.
        valid: How many of the training images validate.
        split_seed: Seed of the choice of these images.
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        augmentation: How training images are augmented.
        weighting: How much the images of each class count in the training loss.
        cache: Folder for the decoded images; None: the user's cache folder.
        memory_share: Share of the machine's memory; data that takes more is read from the disk as it is needed.
        broken_share: Share of the images that may be broken before the task refuses to start.
    """
    keeping = Keeping(cache, memory_share, broken_share)
    return cifar(PUBLISHED[labels], path, valid, split_seed, train_limit, augmentation, keeping, weighting=weighting)


plugin = cifar100
