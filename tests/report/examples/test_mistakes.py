import re
import warnings
from base64 import b64decode
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from netwright.data.outcome import Outcome
from netwright.report import files
from netwright.report.examples import confusion, mistakes

pytestmark = pytest.mark.usefixtures("drawn")


def made(classes=10, images=300, shape=(8, 8, 1), worst=24, name="class {}"):
    """Predictions right in seven of eight cases; pixels drawn at random."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, classes, images)
    predictions = np.where(rng.random(images) < 7 / 8, targets, rng.integers(0, classes, images))
    losses = rng.exponential(1.0, images).astype(np.float32)
    order = np.argsort(-losses)[:worst]
    pixels = rng.integers(0, 256, (len(order), *shape), np.uint8)
    names = tuple(f"some/folder/{position}.png" for position in order)
    listed = tuple(name.format(number) for number in range(classes))
    return Outcome(targets, predictions, losses, pixels, order, names, listed)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [t.get_text() for t in figure.texts]


def matrix_of(outcome):
    return mistakes.matrix(confusion.counts(outcome), outcome.classes)


def embedded(figure):
    """Sizes of the images within the figure's SVG."""
    found = re.findall(r'"data:image/png;base64,\s*([^"]+)"', files.svg(figure, "x"))
    return [Image.open(BytesIO(b64decode(data))).size for data in found]


def overlap(figure, labels):
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels]
    return any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_cells_hold_counts_and_colors_the_share_of_the_row():
    figure = mistakes.matrix(np.array([[1500, 0], [3, 1]]), ("cat", "dog"))
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array() ** 2, [[1, 0], [0.75, 0.25]])
    assert {t.get_text(): t.get_position() for t in axes.texts} == {
        "1,500": (0.5, 0.5),
        "3": (0.5, 1.5),
        "1": (1.5, 1.5),
    }
    assert {t.get_text(): t.get_color() for t in axes.texts}["1,500"] == "white"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")


@pytest.mark.parametrize("classes", [2, 3, 10, 20, 21, 37, 100])
@pytest.mark.parametrize("name", ["{}", "class {}", "a rather long name, number {}"])
def test_labels_neither_overlap_nor_leave_the_figure(classes, name):
    figure = matrix_of(made(classes, name=name))
    axes = figure.axes[0]
    assert not overlap(figure, axes.get_yticklabels())
    width, height = figure.canvas.get_width_height()
    shares = figure.axes[1].get_yticklabels()
    assert [label.get_text() for label in shares][-1] == "100%"
    for label in (*axes.get_yticklabels(), *axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label, *shares):
        box = label.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, label.get_text()
    if not axes.get_xticklabels()[0].get_rotation() % 90:
        assert not overlap(figure, axes.get_xticklabels())
    assert max(figure.get_size_inches()) < mistakes.WIDEST + 3


def test_many_classes_have_no_numbers_and_too_many_no_names():
    assert texts(matrix_of(made(20)))
    assert not texts(matrix_of(made(21)))
    assert matrix_of(made(100)).axes[0].get_yticklabels()[99].get_text() == "class 99"
    assert "class" not in "".join(label.get_text() for label in matrix_of(made(300)).axes[0].get_yticklabels())


def test_counts_fit_into_their_cells():
    figure = mistakes.matrix(np.full((20, 20), 12_345), [str(n) for n in range(20)])
    assert not overlap(figure, figure.axes[0].texts)


def test_matrices_are_embedded_with_a_pixel_per_cell():
    assert embedded(matrix_of(made(100)))[0] == (100, 100)


def test_worst_images_carry_class_prediction_loss_and_name():
    outcome = made(3, worst=2)
    position = int(outcome.worst_positions[0])
    shown = texts(mistakes.worst(outcome))
    assert len(shown) == 8
    assert shown[0] == f"class {outcome.targets[position]}"
    assert shown[2:4] == [f"loss {outcome.losses.max():.2f}", f"some/folder/{position}.png"]
    captions = mistakes.captions(outcome, outcome.classes)
    for (_, taken, _, _), place in zip(captions, outcome.worst_positions, strict=True):
        is_right = outcome.targets[place] == outcome.predictions[place]
        assert taken == ("recognized" if is_right else f"taken for class {outcome.predictions[place]}")


def test_a_long_file_name_keeps_its_end():
    outcome = made(2, worst=1)
    long = Outcome(**{**vars(outcome), "worst_names": ("/a/very/long/path" * 9 + "/image 7.png",)})
    assert texts(mistakes.worst(long))[3].endswith("/image 7.png")


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (20, 60, 1), (40, 10, 3)])
def test_small_images_are_embedded_as_they_are(shape):
    figure = mistakes.worst(made(shape=shape))
    assert embedded(figure) == [(shape[1], shape[0])] * 24
    first = figure.axes[0]
    box = first.get_window_extent()
    assert box.width / box.height == pytest.approx(shape[1] / shape[0])


def test_gray_images_are_shown_gray_and_colored_ones_in_their_colors():
    gray, colored = made(shape=(8, 8, 1), worst=1), made(shape=(8, 8, 3), worst=1)
    image = mistakes.worst(gray).axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), gray.worst[0, :, :, 0])
    assert (image.get_cmap().name, image.get_clim()) == ("gray", (0, 255))
    np.testing.assert_array_equal(mistakes.worst(colored).axes[0].images[0].get_array(), colored.worst[0])


def test_large_images_are_embedded_no_larger_than_drawn():
    sizes = embedded(mistakes.worst(made(shape=(500, 500, 3), worst=2)))
    assert len(sizes) == 2 and max(max(size) for size in sizes) <= mistakes.TILE * files.DPI + 2


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_any_number_of_images_is_drawn_without_overlap(count):
    figure = mistakes.worst(made(worst=count))
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes] + [t.get_window_extent() for t in figure.texts]
    assert len(figure.axes) == count
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_names_in_any_script_cause_no_warning():
    outcome = made(3, name="大猫 🐈 $x_{{$ <b> {}")
    strange = Outcome(**{**vars(outcome), "worst_names": ("\udcff 猫\n.png",) * 24})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (matrix_of(strange), mistakes.worst(strange)):
            files.png(figure)
            files.svg(figure, "x")
    assert "class 2" in {label.get_text() for label in matrix_of(strange).axes[0].get_yticklabels()}
