"""Training recipes of Real et al. 2018 (AmoebaNets), and what Luo et al. 2018 (NAO) need of them.

Numbers are those of section 5 of the specification of the former, and of section 7.1 of the latter's.
"""

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from netwright.core import refs, run_file
from netwright.core.records import IO, Proposal, Trial
from netwright.data.augment import cut_out
from netwright.evaluators.training import Training
from netwright.stores.memory import MemoryStore
from netwright.tasks.arrays import arrays
from netwright.training import checkpoint
from netwright.training import settings as step_settings
from netwright.training.epochs import EvenEpochs
from netwright.training.rmsprop import RMSProp
from netwright.training.settings import StepSettings
from netwright.worker import WorkerContext
from netwright.zoo.amoebanet_a import plugin as amoebanet
from tests.verified import VERIFIED

RECIPES = Path(__file__).parents[2] / "recipes"


def _run(name):
    return run_file.from_tables(run_file.read(RECIPES / f"{name}.toml"))


def _recipe(name):
    """What the recipe's evaluator does in a step."""
    options = _run(name).evaluator.options
    return StepSettings(
        **{option: value for option, value in options.items() if option in refs.options_of(StepSettings)}
    )


def _rate(used, epoch, epochs, per_epoch=1000):
    step, steps = round(epoch * per_epoch), epochs * per_epoch
    return used.lr * step_settings.rate_factor(used, step, steps, EvenEpochs(per_epoch))


def test_cifar_augmented_models():
    """Batch 128, SGD with momentum 0.9, L2 5e-4, 0.024 by cosine over 600 epochs, drop path to 0.7, auxiliary 0.5."""
    run, used = _run("amoebanet-cifar10"), _recipe("amoebanet-cifar10")
    assert run.evaluator.options["epochs"] == 600
    assert (used.batch, used.auxiliary, used.label_smoothing, used.ema, used.clip) == (128, 0.5, 0.0, 0.0, 0.0)
    optimizer = step_settings.optimizer(used, torch.nn.Linear(1, 1))
    assert isinstance(optimizer, torch.optim.SGD)
    assert [optimizer.defaults[name] for name in ("lr", "momentum", "weight_decay")] == [0.024, 0.9, 5e-4]
    assert [_rate(used, epoch, 600) for epoch in (0, 300)] == pytest.approx([0.024, 0.012])
    assert _rate(used, 599.999, 600) < 1e-9
    regularization = used.regularization
    assert [regularization.keep(depth, progress) for depth in (0.05, 1.0) for progress in (0.0, 0.5, 1.0)] == (
        pytest.approx([1.0, 0.85, 0.7] * 2)
    )
    assert run.space.options == {"channels": 36, "repeats": 6, "auxiliary": True}


@pytest.mark.parametrize(
    ("name", "lr", "epsilon", "factor", "every"),
    [
        ("amoebanet-imagenet", 0.001, 0.1, 0.97, 2.0),
        ("amoebanet-code-imagenet", 0.015, 1.0, 0.97, 2.4),
        ("amoebanet-d-imagenet", 2.56, 1.0, 0.88, 1.0),
    ],
)
def test_imagenet(name, lr, epsilon, factor, every):
    """RMSProp of decay 0.9 with the stated epsilon, L2 4e-5, smoothing 0.1, auxiliary 0.4, averages of 0.9999."""
    used = _recipe(name)
    optimizer = step_settings.optimizer(used, torch.nn.Linear(1, 1))
    assert isinstance(optimizer, RMSProp)
    expected = {"lr": lr, "decay": 0.9, "epsilon": epsilon, "momentum": 0.9}
    assert {setting: optimizer.defaults[setting] for setting in expected} == expected
    assert (used.weight_decay, used.label_smoothing, used.auxiliary, used.ema) == (4e-5, 0.1, 0.4, 0.9999)
    for times in (2, 7):
        late = times * every
        assert _rate(used, late + 0.01, 100) == pytest.approx(lr * factor**times)
        assert _rate(used, late - 0.01, 100) == pytest.approx(lr * factor ** (times - 1))


def test_imagenet_of_the_paper_and_of_the_code_differ():
    paper, code, cheap = (_recipe(f"amoebanet-{name}imagenet") for name in ("", "code-", "d-"))
    assert (paper.dropout, paper.drop_path_keep, paper.clip, paper.warmup, paper.floor) == (0.5, 0.7, 0.0, 0.0, 0.0)
    assert (code.dropout, code.drop_path_keep, code.clip, code.warmup, code.floor) == (0.5, 0.7, 10.0, 3.0, 1e-4)
    assert (cheap.dropout, cheap.drop_path_keep, cheap.clip, cheap.warmup, cheap.floor) == (0.5, 1.0, 0.0, 0.35, 1e-4)
    assert (code.batch, cheap.batch) == (32, 1024), "a rate of 0.015 is for 32 images, 2.56 for 1,024"
    assert [each.decay_on for each in (paper, code, cheap)] == ["all", "weights", "weights"]
    assert [each.clip_penalty for each in (paper, code, cheap)] == [False, True, False]
    assert [_rate(code, epoch, 400) for epoch in (1.5, 2.999)] == pytest.approx([0.0075, 0.015], rel=1e-3)
    assert _rate(code, 999, 1000) == pytest.approx(0.015 * 1e-4)
    assert [_run(f"amoebanet-{name}imagenet").evaluator.options["epochs"] for name in ("code-", "d-")] == [100, 35]
    assert [_run(f"amoebanet-{name}imagenet").space.options["channels"] for name in ("", "d-")] == [190, 256]


def test_images_and_normalization_on_imagenet():
    """Of the code: areas of 5 to 100 %, distorted colors; normalizations of its own for each model."""
    runs = {name: _run(f"amoebanet-{name}imagenet") for name in ("", "code-", "d-")}
    assert [run.task.options["size"] for run in runs.values()] == [331, 299, 224]
    assert "hue" not in runs[""].task.options
    for name, (epsilon, momentum) in {"code-": (1e-3, 3e-4), "d-": (1e-5, 0.1)}.items():
        said = runs[name].space.options
        assert (said["norm_epsilon"], said["norm_momentum"]) == (epsilon, momentum)
        colors = [runs[name].task.options[each] for each in ("brightness", "contrast", "saturation", "hue")]
        assert (runs[name].task.options["area"], colors) == ([0.05, 1.0], [0.125, 0.5, 0.5, 0.2])


def test_the_large_model_has_its_published_cost_at_the_size_that_the_recipe_says():
    text = (RECIPES / "amoebanet-imagenet.toml").read_text()
    width, side = map(int, re.search(r"--space\.channels (\d+) --task\.size (\d+)", text).groups())
    options = {**_run("amoebanet-imagenet").space.options, "channels": width}
    del options["auxiliary"]
    counts = replace(amoebanet.space, **options).count(amoebanet.genotype, IO(3, side, side, 1000))
    assert (counts.params, f"{counts.multiply_adds / 1e9:.2f}") == (468_151_184, "103.89")


def test_deviations_are_of_several_trainings():
    assert _run("amoebanet-cifar10").final == {"repeats": 5}


@pytest.mark.parametrize(("version", "first", "last"), [("v1", 0.7, 0.7), ("v2", 0.985, 0.7), ("v3", 0.985, 0.7)])
def test_scheduled_drop_path_in_its_three_versions(version, first, last):
    """Of 20 cells at the end of training: 1 - (cell + 1) / 20 * 0.3 where depth counts."""
    regularization = StepSettings(drop_path_keep=0.7, drop_path_version=version).regularization
    assert [regularization.keep(depth, 1.0) for depth in (1 / 20, 1.0)] == pytest.approx([first, last])
    begin = regularization.keep(1.0, 0.0)
    assert begin == pytest.approx(0.7 if version == "v2" else 1.0)


def test_the_final_training_of_nao_can_be_stated():
    """Cosine, clip 5, drop path to 0.8 in time and depth, dropout keeping 0.6, auxiliary 0.4, cutout 16."""
    used = StepSettings(
        batch=128, lr=0.025, weight_decay=3e-4, clip=5.0, auxiliary=0.4, drop_path_keep=0.8, dropout=0.4, ema=0.0
    )
    keep = used.regularization.keep
    assert keep(4 / 20, 0.5) == pytest.approx(1 - 0.5 * (4 / 20) * 0.2), "section 1.7: 1 - (t/T) (l+1)/L (1 - final)"
    images = np.ones((200, 32, 32, 3), np.float32)
    cut_out(images, 16, np.random.default_rng(0))
    holes = (images[..., 0] == 0).sum((1, 2))
    assert holes.max() == 256
    assert holes.min() < 128, "clipped at all borders"
    corners = [(images[:, row, column, 0] == 0).mean() for row in (0, -1) for column in (0, -1)]
    assert corners == pytest.approx([1 / 16] * 4, abs=0.05), "its middle is drawn, and not its corner"
    assert min(corners) > 0.02


def _tiny(tmp_path, **settings):
    """AmoebaNet-A at the least scale, by the recipes' settings, on 40 images of 16 x 16."""
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    if not path.exists():
        images, labels = rng.integers(256, size=(100, 16, 16, 3), dtype=np.uint8), np.arange(100) % 4
        np.savez(path, images=images, labels=labels)
    space = replace(amoebanet.space, channels=4, repeats=1, auxiliary=True, norm_epsilon=1e-3, norm_momentum=3e-4)
    colors = {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}
    task = arrays(str(path), cutout=4, flip=True, cache=str(tmp_path / "cache"), **colors)
    fixed = {"steps": 6, "batch": 20, "save": True, "checkpoint_minutes": 1e-9}
    return Training(space, task, **{**settings, **fixed})


def _trained(evaluator, folder, on_report=lambda step, metrics: True):
    trial = Trial(1, Proposal(amoebanet.genotype), "k", 3, "running")
    result = evaluator.evaluate(trial, WorkerContext(MemoryStore(), folder, 1, on_report=on_report))
    return result.metrics["valid_loss"], (folder / "000001" / checkpoint.WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", ["amoebanet-code-imagenet", pytest.param("amoebanet-cifar10", marks=VERIFIED)])
def test_amoebanet_trains_by_the_recipe_and_survives_a_kill_bit_for_bit(tmp_path, name):
    settings = {option: getattr(_recipe(name), option) for option in refs.options_of(StepSettings)}
    evaluator = _tiny(tmp_path, **{**settings, "accumulate": 2})
    whole = _trained(evaluator, tmp_path / "whole")
    at = random.randrange(1, 6)

    def kill(step, metrics):
        if step == at:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        _trained(evaluator, tmp_path / "cut", kill)
    assert _trained(evaluator, tmp_path / "cut") == whole, f"killed at step {at}"
