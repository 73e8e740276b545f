"""What a timed run settles before anything is written: workers, mirrored images, their size."""

import io
from contextlib import nullcontext

import numpy as np
import pytest
from rich.console import Console

from netwright.core.refs import Reference
from netwright.runs.session import Session
from netwright.runs.timed import beginning
from netwright.runs.timed.wish import image_task_of


@pytest.mark.parametrize(
    ("channels", "typed", "is_mirrored", "said"),
    [
        (1, {}, None, ""),
        (3, {}, True, "images are in color"),
        (3, {"flip": False}, False, ""),
        (1, {"flip": True}, True, ""),
    ],
)
def test_images_in_color_are_mirrored_unless_somebody_says_otherwise(tmp_path, channels, typed, is_mirrored, said):
    images = np.zeros((8, 8, 8, channels), np.uint8)
    np.savez(tmp_path / "a.npz", images=images if channels > 1 else images[..., 0], labels=np.arange(8) % 2)
    named = Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache"), **typed})
    out = io.StringIO()
    session = Session(Console(file=out, width=200), lambda *_: nullcontext(), "")
    found = beginning._mirrored(named, image_task_of(named), session)
    assert found.options.get("flip") is is_mirrored and {**named.options, **found.options} == found.options
    assert out.getvalue().startswith(said) and bool(out.getvalue()) == bool(said)


def test_only_a_task_that_brings_images_to_size_is_given_one():
    photos = Reference("image_folder", {"path": "photos"})
    assert beginning._sized(photos, 48).options == {"path": "photos", "size": 48}
    for kept in (Reference("image_folder", {"path": "photos", "size": 64}), Reference("digits")):
        assert beginning._sized(kept, 48) == kept
