"""Text that a language model was measured on: the tokens that it tells worst, a piece with its guesses, a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from netwright.core.finals import Final
from netwright.core.vocabulary import END
from netwright.data import spoken
from netwright.data.spoken import Shown
from netwright.report import markup
from netwright.report.examined import Kind
from netwright.report.figures import INK, PALETTE, TEXT_SIZE
from netwright.report.markup import Html
from netwright.report.text import FONT, shortened

CAPTIONS = {"words": "The words or characters of the highest loss"}
WIDTH, BAR, ENDS = 4.4, 0.21, 0.75  # inches: of the figure, of each bar, and of what stands above and below
LABEL = 1.4  # inches, of the longest token
LONGEST = 24  # letters of a token
SURE = 8.0  # nats at which a token is shaded most


@dataclass(frozen=True)
class TextExamples:
    """What was kept of a pass over text."""

    shown: Shown

    @property
    def count(self) -> int:
        """Number of tokens that were predicted."""
        return self.shown.tokens

    def figures(self) -> dict[str, Figure]:
        """Bars of the tokens of the highest loss."""
        return {"words": bars(self.shown)} if self.shown.worst else {}

    def section(self, final: Final, whose: str, drawn: Mapping[str, Html]) -> Html:
        """The figure, a table of it, a piece of the text with what was expected instead, and a sample."""
        shown, unit = self.shown, self.shown.unit
        setting = f", {final.setting}" if final.setting else ""
        measured = f"{final.objective.label} {final.repetitions[0].value:.2f}" if final.repetitions else "measured"
        told = (
            f"{final.label}{setting}: {measured} on {shown.tokens:,} {unit}. Below are those of the highest mean loss, "
            "in nats, which is as if one of so many were guessed at."
        )
        columns = (unit[:-1], "times", "loss", "1 in")
        rows = [(visible(token), f"{times:,}", f"{loss:.2f}", _odds(loss)) for token, times, loss in shown.worst]
        wrong = sum(token != guess for token, guess, _ in shown.piece)
        piece = (
            f"{len(shown.piece) - wrong} of {len(shown.piece)} {unit} are those that it held likeliest. Over each of "
            "the others stands what it expected in its place; the darker its ground, the less likely it was held."
        )
        gap = "" if unit == "characters" else " "
        noted = [
            (visible(token), visible(guess) if token != guess else "", min(1.0, max(0.0, loss / SURE)))
            for token, guess, loss in shown.piece
        ]
        return markup.section(
            f"What it expects of the {'test' if final.is_tested else 'validation'} text{whose}",
            told,
            drawn.get("words", Html("")),
            markup.table(columns, rows, columns[1:]) if rows else "",
            markup.subsection("A piece of the text", piece, markup.annotated(noted, gap)) if noted else "",
            markup.subsection(
                "A text of its own",
                f"{spoken.SAMPLE} {unit} that it wrote, drawn by its probabilities at a temperature of "
                f"{spoken.TEMPERATURE:g}:",
                markup.listing(shown.sample.strip("\n")),
            )
            if shown.sample.strip()
            else "",
        )


def bars(shown: Shown) -> Figure:
    """A bar for each of the tokens of the highest loss, the worst on top."""
    figure = Figure(figsize=(WIDTH, BAR * len(shown.worst) + ENDS), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    places = range(len(shown.worst))
    axes.barh(places, [loss for _, _, loss in shown.worst], color=PALETTE[0], height=0.72)
    labels = [shortened(visible(token), LABEL, TEXT_SIZE) for token, _, _ in shown.worst]
    axes.set_yticks(places, labels, family=FONT, size=TEXT_SIZE, parse_math=False)
    axes.set_ylim(len(shown.worst) - 0.5, -0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#777777")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=TEXT_SIZE - 0.5, color="#777777", labelcolor=INK)
    axes.grid(True, axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("mean loss (nats)", size=TEXT_SIZE)
    return figure


def visible(token: str) -> str:
    """A token as something that can be seen and fits a line: blanks and ends of lines are none by themselves."""
    short = token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…"
    return {END: "¶", "\n": "¶", " ": "␣", "\t": "⇥"}.get(token, short)


def read(folder: Path) -> TextExamples | None:
    """What a training left in its folder; None: nothing of text, or it cannot be read."""
    found = spoken.read(folder / spoken.FILE)
    return TextExamples(found) if found else None


def _odds(loss: float) -> str:
    return f"{math.exp(loss):,.0f}" if loss < 30 else "∞"


kind = Kind(CAPTIONS, read)
