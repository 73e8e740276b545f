"""HTML as strings: tables, sections, drawings within the page, and the page around them.

The page is one file that fetches nothing. Whatever comes from data is escaped here; only `Html` passes unchanged. It is
to be read on a phone as well: tables and drawings that are too wide scroll within themselves, no text of a drawing is
ever smaller than SMALLEST, and words break at their ends.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

MISSING = "–"  # stands where there is no value
SMALLEST = 10.0  # pixels, of a text in a drawing
PIXELS = 96 / 72  # of a point
LONGEST = 24  # letters of a word that stays whole
OPTION = re.compile(rf"(?<![\w-])--[a-z][\w.-]{{0,{LONGEST}}}(?![\w.-])")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


@dataclass(frozen=True)
class Picture:
    """An image file and what stands below it.

    Args:
        data: Content of the file.
        format: "png" or "jpeg".
        lines: Lines below the picture; one that is too long ends in an ellipsis and shows whole under the pointer.
        name: Where the picture comes from; of a path, the last part stands below the picture.
        is_crisp: Enlarge the picture pixel by pixel.
    """

    data: bytes
    format: str
    lines: tuple[str, ...]
    name: str
    is_crisp: bool


_STYLE = """
:root { color-scheme: light dark; --ground: #f4f4f2; --card: #ffffff; --ink: #222222; --faint: #6a6a6a; --line: #dededa;
  --code: #f6f6f4; --strong: #0060a0; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #101010; --card: #1a1a1a; --ink: #e6e6e6; --faint: #a0a0a0; --line: #383838; --code: #242424;
    --strong: #6db9ef; }
  figure svg { filter: invert(0.9) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 10px; }
h3 { font-size: 1rem; margin: 22px 0 6px; }
p { margin: 0 0 10px; color: var(--faint); }
h1 + section > p { color: var(--ink); }
section > p:last-child { margin-bottom: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px; margin: 0; }
.tiles dt { color: var(--faint); font-size: 0.85rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.tiles .main dd { color: var(--strong); font-weight: 650; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 18px 24px; }
figure { margin: 0; overflow-x: auto; }
figcaption { font-weight: 600; margin-bottom: 4px; }
figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 16px; margin: 0;
  padding: 0; list-style: none; font-size: 0.85rem; line-height: 1.35; }
.pictures img { display: block; width: 100%; max-width: 170px; border: 1px solid var(--line); margin-bottom: 4px; }
.pictures img.crisp { image-rendering: pixelated; }
.pictures span { display: block; overflow: hidden; text-overflow: ellipsis; max-width: 170px; white-space: nowrap; }
.pictures .faint { color: var(--faint); }
.scroll { overflow: auto; max-height: 36rem; }
.scroll + p { margin-top: 12px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 5px 22px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--faint); font-weight: 600; font-size: 0.85rem; white-space: nowrap; position: sticky; top: 0;
  background: var(--card); }
.number { width: 1%; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow-wrap: break-word; min-width: 6.2rem; }
td.number { min-width: 0; }
td code { white-space: nowrap; }
.long { overflow-wrap: anywhere; }
.annotated { color: var(--ink); line-height: 2.5; overflow-wrap: break-word; }
.annotated ruby { white-space: nowrap; }
.annotated rt { font-size: 0.75rem; color: var(--faint); }
.annotated mark { color: inherit; border-radius: 3px; background: rgb(213 94 0 / var(--weight)); }
code, pre { font-family: ui-monospace, monospace; font-size: 0.85rem; }
.whole { white-space: nowrap; }
pre { background: var(--code); border-radius: 6px; padding: 12px 14px; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre + pre, pre + p, h3 + pre, details + details, figure + h3, figure + .scroll { margin-top: 10px; }
.tiles + .curves { margin-top: 18px; }
summary { cursor: pointer; margin: 6px 0; }
@media (max-width: 560px) {
  main { padding: 14px 8px 40px; }
  section { padding: 12px 10px; }
  th, td { padding-right: 12px; }
  td { min-width: 5.6rem; }
  .tiles, .pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
</body>
</html>
""")


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document."""
    return _PAGE.substitute(title=escape(title), style=_STYLE, body="\n".join(part for part in parts if part))


def section(title: str, *parts: str) -> Html:
    """A card with a heading; parts are Html, or text that becomes a paragraph."""
    return Html(f"<section>\n<h2>{escape(title)}</h2>\n{_body(parts)}\n</section>")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> Html:
    """A table that scrolls within itself; columns named in `numbers` are set flush right."""
    right = set(numbers)
    kinds = [' class="number"' if column in right else "" for column in columns]
    head = "".join(f"<th{kind}>{escape(column)}</th>" for kind, column in zip(kinds, columns, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{_safe(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def tiles(facts: Iterable[tuple[str, str]]) -> Html:
    """Headline numbers, (name, value); the first one stands out."""
    listed = "\n".join(
        f'<div class="{"other" if number else "main"}"><dt>{escape(name)}</dt><dd>{_safe(value)}</dd></div>'
        for number, (name, value) in enumerate(facts)
    )
    return Html(f'<dl class="tiles">\n{listed}\n</dl>')


def code(text: str) -> Html:
    """A short piece of text in a fixed-width font."""
    return Html(f"<code>{escape(text)}</code>")


def listing(text: str, summary: str = "") -> Html:
    """Lines of text as they are; with `summary`, folded away under it."""
    lines = Html(f"<pre>{_text(text)}</pre>")
    return folded(summary, lines) if summary else lines


def commands(each: Iterable[tuple[str, str]]) -> Html:
    """Commands, each with what it does before it."""
    return Html("\n".join(f"<p>{_text(what)}</p>\n<pre>{_text(text)}</pre>" for what, text in each))


def folded(summary: str, *parts: str) -> Html:
    """Parts that show when one asks for them; parts as in `section`."""
    return Html(f"<details><summary>{escape(summary)}</summary>{_body(parts)}</details>")


def subsection(title: str, *parts: str) -> Html:
    """A part of a section with a heading of its own; parts as in `section`."""
    return Html(f"<h3>{escape(title)}</h3>\n{_body(parts)}")


def annotated(words: Iterable[tuple[str, str, float]], gap: str) -> Html:
    """Running text, with notes over its words.

    Args:
        words: Each word, the note over it, "" for none, and how dark its ground is, from 0 to 1.
        gap: What stands between two words.
    """
    text = gap.join(_annotated(*each) for each in words)
    return Html(f'<p class="annotated">{text}</p>')


def pictures(shown: Iterable[Picture]) -> Html:
    """Pictures side by side, as many as fit."""
    return Html(f'<ul class="pictures">\n{"".join(map(_picture, shown))}</ul>')


def figure(svg: str, name: str, caption: str, text: float = SMALLEST / PIXELS) -> Html:
    """An SVG file of matplotlib's as part of a page; it shrinks no further than its text can be read, and scrolls then.

    Args:
        svg: Content of the whole file.
        name: Letters and digits, different for each figure of a page: ids begin with it, because matplotlib gives a
            glyph the same id in every file.
        caption: What the figure shows, for all readers.
        text: Size of its smallest text in points (`files.smallest_text`).
    """
    heading = f"<figcaption>{escape(caption)}</figcaption>"
    return Html(f"<figure>{heading}\n{_no_smaller(inline_svg(svg, name, caption), text)}</figure>")


def inline_svg(svg: str, name: str, label: str) -> str:
    """The `svg` element of an SVG file, with ids of its own, without comments, metadata and page-wide styles."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", element)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    element = element.replace("url(#", f"url(#{name}-")
    return element.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def _no_smaller(element: str, text: float) -> str:
    """The `svg` element with the least width at which its text of so many points has SMALLEST pixels."""
    width = re.search(r'<svg[^>]*\swidth="([0-9.]+)pt"', element)
    if not width:
        return element
    least = float(width[1]) / text * SMALLEST
    return element.replace("<svg", f'<svg style="min-width: {least:.0f}px"', 1)


def _annotated(word: str, note: str, weight: float) -> str:
    if not note:
        return escape(word)
    ground = f'<mark style="--weight: {0.6 * weight:.2f}">{escape(word)}</mark>'
    return f"<ruby>{ground}<rt>{escape(note)}</rt></ruby>"


def _picture(shown: Picture) -> str:
    source = f"data:image/{shown.format};base64,{b64encode(shown.data).decode()}"
    crisp = ' class="crisp"' if shown.is_crisp else ""
    name, short = escape(shown.name), escape(re.split(r"[/\\\\]", shown.name)[-1])
    lines = "".join(f'<span title="{escape(line)}">{escape(line)}</span>' for line in shown.lines)
    return (
        f'<li><img{crisp} src="{source}" alt="{name}">{lines}<span class="faint" title="{name}">{short}</span></li>\n'
    )


def _body(parts: Iterable[str]) -> str:
    return "\n".join(part if isinstance(part, Html) else f"<p>{_text(part)}</p>" for part in parts if part)


def _text(text: str) -> str:
    """Text as markup; a line does not end within the name of an option, which browsers break behind its hyphens."""
    return OPTION.sub(r'<span class="whole">\g<0></span>', escape(text))


def _safe(cell: str) -> str:
    """A cell as markup; words that no column can hold may break anywhere, others do not."""
    if isinstance(cell, Html):
        return cell
    words = re.split(r"(\s+)", cell)
    return "".join(f'<span class="long">{escape(w)}</span>' if len(w) > LONGEST else escape(w) for w in words)
