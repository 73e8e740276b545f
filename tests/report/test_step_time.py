"""The pictures of a step: what stands in them, and that words stay on the paper and apart."""

from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from netwright.report import step_time
from netwright.training.profile.floors import Ceilings
from netwright.training.profile.kernels import Kernel, Work
from netwright.training.profile.laps import PHASES
from netwright.training.profile.measure import Phase, StepProfile

KERNELS = tuple(Kernel(f"native_batch_norm_backward_{n}", 0.01 / (n + 1), 3.0) for n in range(9))
PHASE = {name: Phase(name, 0.01 * n, 0.01 * n, 0.0, "") for n, name in enumerate(PHASES, start=1)}
PHASE["forward"] = replace(PHASE["forward"], floor=0.004, bound="memory")
CPU = StepProfile(
    *("cpu, 1 thread", False, "float32", 64, 20, 0.28, 0.27, 0.3, 228.6),
    *(tuple(PHASE.values()), Work(KERNELS, 5000.0, 0.02, 0.0, 0.26), Ceilings(1e11, 1e11), 0.01),
)
GPU = replace(CPU, is_gpu=True, device="NVIDIA H100", work=Work(KERNELS, 5000.0, 0.02, 0.1, 0.2))
BLIND = replace(GPU, work=Work((), 5000.0, 0.02, 0.1, None))


def drawn(draw, profile, title="zoo:hierarchical"):
    figure = draw(profile, title)
    FigureCanvasAgg(figure).draw()
    return figure


def texts(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize("draw", [step_time.wide, step_time.narrow])
def test_phases_with_floors_and_kernels_with_the_rest(draw):
    figure = drawn(draw, CPU)
    phases, kernels = figure.axes
    assert texts(phases) == list(PHASES)
    assert [bar.get_width() for bar in phases.patches] == pytest.approx([10 * n for n in range(1, 8)])
    assert [list(line.get_xdata()) for line in phases.lines] == [[4.0, 4.0]]
    assert [text.get_text() for text in phases.texts][:2] == ["10.0", "20.0"]
    assert texts(kernels)[-2:] == ["2 others", "no operator"]
    assert kernels.patches[-1].get_width() == pytest.approx(20)
    about = figure.get_suptitle()
    assert "280.0 ms a step of 64" in about and "cpu, 1 thread, float32" in about


def test_a_gpu_is_idle_for_what_no_kernel_covers():
    kernels = drawn(step_time.wide, GPU).axes[1]
    assert texts(kernels)[-1] == "GPU idle"
    assert kernels.patches[-1].get_width() == pytest.approx(80)


@pytest.mark.parametrize("draw", [step_time.wide, step_time.narrow])
def test_a_gpu_whose_kernels_are_not_seen_has_phases_all_the_same(draw):
    phases, kernels = drawn(draw, BLIND).axes
    assert texts(phases) == list(PHASES) and texts(kernels) == []


@pytest.mark.parametrize("draw", [step_time.wide, step_time.narrow])
@pytest.mark.parametrize("title", ["zoo:hierarchical", "runs/" + "a long name $x_1^ " * 20])
def test_words_stay_on_the_paper_and_apart(draw, title):
    figure = drawn(draw, CPU, title)
    width, height = figure.canvas.get_width_height()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        above = axes.title, axes._left_title
        for box in [*boxes, *(text.get_window_extent() for text in (*axes.texts, *above) if text.get_text())]:
            assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1
        for upper, lower in pairwise(boxes):
            assert lower.y1 <= upper.y0
    title_box = figure._suptitle.get_window_extent()
    assert title_box.x0 >= -1 and title_box.x1 <= width + 1
