"""What model.py says of examples that are none: users meet it without netwright, and a wrong form gives no answer."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.shapes import IO, Classes, Image, Numbers, Sequence, Tokens, Vector
from netwright.export import programs, standalone
from netwright.export.media.plain import Plain
from netwright.plans.plan import PlanWriter

KINDS = (torch.uint8, torch.int8, torch.int32, torch.int64, torch.bool, torch.float16, torch.float32, torch.float64)


@pytest.fixture(scope="module")
def normalize(exported):
    """Of gray images of 8 x 8."""
    return programs.run_source((exported.folder / "model.py").read_text(), str(exported.folder / "model")).normalize


@given(st.sampled_from(KINDS), st.lists(st.integers(0, 9), max_size=5))
def test_images_of_another_type_or_shape_are_refused(normalize, kind, shape):
    pixels = torch.zeros(shape, dtype=kind)
    if kind == torch.uint8 and shape[1:] == [8, 8, 1]:
        assert normalize(pixels).shape == (shape[0], 1, 8, 8)
        return
    with pytest.raises(ValueError, match=r"^images are a tensor of uint8 from 0 to 255 of shape \(B, 8, 8, 1\), not"):
        normalize(pixels)


@pytest.mark.parametrize(
    ("pixels", "remedy"),
    [
        (torch.zeros(2, 8, 8, 1), "not float32 of shape (2, 8, 8, 1); give uint8 from 0 to 255"),
        (torch.zeros(2, 8, 8, 1).long(), "not int64 of shape (2, 8, 8, 1); give uint8 from 0 to 255"),
        (torch.zeros(8, 8, 1).byte(), "; give a single image as pixels[None]"),
        (torch.zeros(2, 1, 8, 8).byte(), "; give pixels.permute(0, 2, 3, 1), with the channels last"),
        (torch.zeros(2, 9, 7, 1).byte(), "; bring each to that size first, by brought(image, Form(*SIZE, FIT))"),
        (torch.zeros(2, 8, 8, 3).byte(), "not uint8 of shape (2, 8, 8, 3); bring them to that form"),
        (np.zeros((2, 8, 8, 1), np.uint8), "not ndarray of shape (2, 8, 8, 1); make a tensor by torch.from_numpy"),
        ("image.png", "not str of shape (); make a tensor"),
    ],
)
def test_the_remedy_is_said(normalize, pixels, remedy):
    with pytest.raises(ValueError, match="images are") as refused:
        normalize(pixels)
    assert remedy in str(refused.value) and "\n" not in str(refused.value)


def _module(given, output):
    """model.py of a network without layers worth the name."""
    medium = Plain(SimpleNamespace(io=IO(given, output)))
    writer = PlanWriter(IO(Vector(4), Numbers(2)))
    writer.linear(0, 2)
    return standalone.model_py(writer.plan(), medium, "a network"), medium


@pytest.mark.parametrize("form", [Vector(4), Sequence(3, 5), Image(2, 3, 4)])
def test_numbers_are_checked(form):
    text, medium = _module(form, Numbers(2))
    checked = programs.run_source(text, "model").checked
    size = {Vector: (7, 4), Sequence: (7, 5, 3), Image: (7, 2, 3, 4)}[type(form)]
    good = torch.zeros(size)
    assert checked(good) is good
    for wrong in (good.double(), good.long(), good[0], good[..., :-1], good[None], good.numpy(), [0.0]):
        with pytest.raises(ValueError, match=r"^inputs are a tensor of finite float32 of shape \(B, .*, not"):
            checked(wrong)
    for value in (float("nan"), float("inf")):
        bad = good.clone()
        bad.view(-1)[3] = value
        with pytest.raises(ValueError, match="but some are no finite numbers; correct them or leave them out"):
            checked(bad)
    assert medium.takes().startswith(f"Inputs are finite float32 of shape (B, {', '.join(map(str, size[1:]))});")


def test_tokens_are_checked():
    checked = programs.run_source(_module(Tokens(10, 3), Tokens(10, 3))[0], "model").checked
    good = torch.tensor([[0, 9, 4]])
    assert checked(good) is good
    for wrong in (torch.tensor([[0, 10, 4]]), torch.tensor([[-1, 0, 0]])):
        with pytest.raises(ValueError, match=r"int64 from 0 to 9 of shape .* but some lie outside 0 to 9"):
            checked(wrong)
    for wrong in (good.int(), good[0], good.float(), good[:, :2]):
        with pytest.raises(ValueError, match=r"int64 from 0 to 9 of shape .*, not"):
            checked(wrong)


def test_the_source_is_clean(tmp_path):
    for number, form in enumerate((Vector(4), Tokens(10_000, 35), Image(3, 32, 32))):
        (tmp_path / f"model{number}.py").write_text(_module(form, Classes(3))[0])
    ruff, rules = [sys.executable, "-m", "ruff"], ["--isolated", "--no-cache", "--line-length", "120"]
    subprocess.run([*ruff, "check", *rules, tmp_path], check=True)
    subprocess.run([*ruff, "format", *rules, "--check", tmp_path], check=True)


def test_the_program_says_what_it_takes(exported):
    found = {programs.INPUTS: ""}
    torch.export.load(exported.folder / programs.FILE, extra_files=found)
    card = (exported.folder / "README.md").read_text()
    assert found[programs.INPUTS].startswith(
        "Images are float32 of shape (B, 1, 8, 8), normalized: pixels from 0 to 255"
    )
    assert found[programs.INPUTS] in card
    assert "`normalize` takes uint8 from 0 to 255 alone and raises ValueError for anything else" in card
