import inspect
from dataclasses import dataclass, fields
from typing import get_type_hints

import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.refs import Reference
from netwright.data.augment import Augmentation
from netwright.data.images import ImageClassification
from netwright.data.options import spread
from netwright.testing.toys import ToyTask

TASKS = ("arrays", "cifar10", "cifar100", "digits", "image_folder")


@dataclass(frozen=True)
class Noise:
    """What is put on top.

    Args:
        amount: How much,
            all in all.
        kinds: Which; None: all.

    Raises:
        ValueError: Never.
    """

    amount: float = 0.0
    kinds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Made(ToyTask):
    """What a task was made with."""

    options: tuple[str, Noise, int | None]


@spread("noise")
def task(path: str, noise: Noise = Noise(amount=0.5), limit: int | None = None) -> Made:
    """A task.

    Args:
        path: Where.
        noise: Of training.
        limit: How many.
    """
    return Made((path, noise, limit))


def test_fields_of_the_record_stand_where_it_stood():
    assert str(inspect.signature(task)) == (
        "(path: str, amount: float = 0.5, kinds: tuple[int, ...] | None = None, limit: int | None = None) "
        "-> tests.data.test_options.Made"
    )
    assert get_type_hints(task)["kinds"] == tuple[int, ...] | None
    assert "noise" not in get_type_hints(task)
    assert task.__name__ == "task"


def test_it_is_called_with_the_options_one_by_one():
    assert task("x") == Made(("x", Noise(0.5), None))
    assert task("x", 1.0, limit=3) == Made(("x", Noise(1.0), 3))
    assert task(path="x", kinds=(1,)) == Made(("x", Noise(0.5, (1,)), None))
    with pytest.raises(TypeError, match="missing a required argument: 'path'"):
        task()
    with pytest.raises(TypeError, match="unexpected keyword argument 'noise'"):
        task("x", noise=Noise())


def test_the_record_documents_its_options():
    assert inspect.getdoc(task) == (
        "A task.\n\nArgs:\n    path: Where.\n    amount: How much,\n        all in all.\n    kinds: Which; None: all.\n"
        "    limit: How many."
    )


def test_options_of_a_reference_are_checked_by_their_types():
    reference = Reference(f"{__name__}:task", {"path": "x", "kinds": [1, 2]})
    assert refs.load("task", reference) == Made(("x", Noise(0.5, (1, 2)), None))
    with pytest.raises(BadReference, match=r"task\.amount is 'much': should be a valid number"):
        refs.load("task", Reference(reference.name, {"path": "x", "amount": "much"}))
    with pytest.raises(BadReference, match=r"has no option 'noise'; .*its options: path, amount, kinds, limit"):
        refs.load("task", Reference(reference.name, {"path": "x", "noise": 1}))


def _is_of_images(name):
    return get_type_hints(refs.locate("task", name))["return"] is ImageClassification


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_images_has_every_option_of_the_augmentation_and_says_what_it_does(name):
    plugin = refs.locate("task", name)
    options, hints, lines = refs.options_of(plugin), get_type_hints(plugin), inspect.getdoc(plugin).splitlines()
    assert "augmentation" not in options
    assert set(TASKS) == set(filter(_is_of_images, refs.available("task")))
    for field in fields(Augmentation):
        assert options[field.name].annotation == hints[field.name] == get_type_hints(Augmentation)[field.name]
        assert sum(line.startswith(f"    {field.name}: ") for line in lines) == 1, field.name


@pytest.mark.parametrize(
    ("name", "padding", "flip"),
    [
        ("arrays", None, False),
        ("cifar10", 0, True),
        ("cifar100", 0, True),
        ("digits", 1, False),
        ("image_folder", None, True),
    ],
)
def test_defaults_are_the_tasks_own(name, padding, flip):
    options = refs.options_of(refs.locate("task", name))
    assert (options["padding"].default, options["flip"].default) == (padding, flip)
    others = [field for field in fields(Augmentation) if field.name not in ("padding", "flip")]
    assert [options[field.name].default for field in others] == [field.default for field in others]


def test_a_padding_left_open_follows_from_the_height():
    assert Augmentation(padding=None).fitted(33, 8).padding == 4
    assert Augmentation(padding=None, area=(0.5, 1.0)).fitted(33, 8).padding == 0
    assert Augmentation(padding=3).fitted(33, 8).padding == 3
    with pytest.raises(BadReference, match=r"task\.crop is 11; it must be from 1 to 10"):
        Augmentation(padding=1, crop=11).fitted(33, 8)
