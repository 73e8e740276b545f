"""Where the time of a training step goes, as bars: its phases with the least that each could take, and its kernels."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netwright.report.figures import INK, PALETTE
from netwright.report.text import printable, shortened
from netwright.training.profile.measure import StepProfile

KERNELS = 7  # drawn; others are one bar
HEIGHT = 0.29  # inches of a bar and the space around it
BAR, FLOOR, FAINT = PALETTE[0], PALETTE[1], "#9a9a9a"


def wide(profile: StepProfile, title: str) -> Figure:
    """Phases and kernels side by side, 12 inches wide."""
    figure = _start(12.0, 1.5 + HEIGHT * (KERNELS + 1))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _entitle(figure, profile, title, 11.5, 12.0)
    _phases(left, profile, 10.0, "; ")
    _kernels(right, profile, 10.0, 2.3)
    return figure


def narrow(profile: StepProfile, title: str) -> Figure:
    """Phases above kernels, to be read at 400 pixels."""
    rows = len(profile.phases) + KERNELS + 1
    figure = _start(4.0, 2.3 + 0.25 * rows)
    above, below = figure.subplots(2, 1, height_ratios=(len(profile.phases), KERNELS + 1))
    _entitle(figure, profile, title, 9.5, 4.0)
    _phases(above, profile, 8.5, "\n")
    _kernels(below, profile, 8.5, 1.9)
    return figure


def _start(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _entitle(figure: Figure, profile: StepProfile, title: str, size: float, width: float) -> None:
    rate = f"{profile.examples_per_second:,.0f} examples/s"
    about = f"{milliseconds(profile.seconds)} ms a step of {profile.batch}, {rate}"
    where = f"{profile.device}, {profile.precision}"
    room = width - 0.3
    lines = [f"{title}: {about}, {where}"] if width > 8 else [title, about, where]
    text = "\n".join(shortened(line, room, size) for line in lines)
    figure.suptitle(text, size=size, color=INK, x=0.02, ha="left", parse_math=False)


def _phases(axes: Axes, profile: StepProfile, size: float, between: str) -> None:
    phases = profile.phases
    values = [1000 * phase.seconds for phase in phases]
    _bars(axes, [phase.name for phase in phases], values, [BAR] * len(phases), size)
    for place, phase in enumerate(phases):
        if phase.floor:
            x = 1000 * phase.floor
            axes.plot([x, x], [place - 0.42, place + 0.42], color=FLOOR, linewidth=2.4, solid_capstyle="butt")
    axes.set_title(f"phases, ms{between}orange: the least possible", loc="left", size=size, color="#555555")


def _kernels(axes: Axes, profile: StepProfile, size: float, width: float) -> None:
    shown, others = profile.work.kernels[:KERNELS], profile.work.kernels[KERNELS:]
    names = [shortened(kernel.name, width, size) for kernel in shown]
    values = [1000 * kernel.seconds for kernel in shown]
    if others:
        names.append(f"{len(others)} others")
        values.append(1000 * sum(kernel.seconds for kernel in others))
    if (idle := profile.idle_seconds) is not None:
        names.append("GPU idle" if profile.is_gpu else "no operator")
        values.append(1000 * idle)
    colors = [BAR] * len(shown) + [FAINT] * (len(names) - len(shown))
    _bars(axes, names, values, colors, size)
    what = "kernels" if profile.is_gpu else "operators"
    axes.set_title(f"{what}, ms", loc="left", size=size, color="#555555")


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], colors: Sequence[str], size: float) -> None:
    """Bars from top to bottom, with their values behind them."""
    places = range(len(names))
    axes.barh(places, values, height=0.66, color=colors)
    axes.set_yticks(places, [printable(name) for name in names], size=size, color=INK)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color("#777777")
    axes.tick_params(length=0)
    longest = max([*values, 1e-9])
    axes.set_xlim(0, 1.22 * longest)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            milliseconds(value / 1000),
            (value, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            size=size,
            color=INK,
        )


def milliseconds(seconds: float) -> str:
    """Milliseconds in two to four digits."""
    value = 1000 * seconds
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
