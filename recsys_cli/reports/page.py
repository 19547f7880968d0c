"""One HTML file that holds all of a report: text, tables and drawings, with no address of anything outside of it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from recsys_cli.redact import redact

STYLE = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 68rem; margin: 2rem auto; padding: 0 1.25rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin-bottom: .25rem }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
p { max-width: 52rem; margin: .4rem 0 }
.lead { font-size: 1.1rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; margin: .6rem 0 }
th, td { padding: .28rem .7rem .28rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid #e4e4e4 }
th { color: #6b6b6b; font-weight: 600; border-bottom-color: #999; vertical-align: bottom }
.text { text-align: left }
td.text { white-space: normal }
figure { margin: .8rem 0 }
figure svg { max-width: 100%; height: auto }
pre { background: #f5f5f5; padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem }
figcaption { color: #6b6b6b; font-size: .85rem; max-width: 52rem }
"""
SALT = "recsys"  # so that the same drawing is the same text


@dataclass(frozen=True)
class Table:
    """Rows under column heads.

    Attributes:
        heads: Of the columns.
        rows: Cells of text.
        texts: The first so many columns are text, the others numbers.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


@dataclass(frozen=True)
class Drawing:
    """A figure of matplotlib and what there is to see in it.

    Attributes:
        figure: Drawn, not shown.
        caption: A sentence.
    """

    figure: Any
    caption: str


@dataclass(frozen=True)
class Command:
    """What is typed in a shell, to be copied as it stands."""

    text: str


Block = str | Table | Drawing | Command


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: Its heading.
        blocks: Paragraphs, tables, drawings and commands, in order.
    """

    title: str
    blocks: Sequence[Block]


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """A whole page.

    Args:
        title: Its heading, and the name of the window.
        lead: What the report comes down to, in a sentence.
        sections: Its parts; one without blocks is left out.
    """
    parts = [f"<h1>{_text(title)}</h1>", f'<p class="lead">{_text(lead)}</p>']
    drawings = 0
    for section in sections:
        if section.blocks:
            parts.append(f"<h2>{_text(section.title)}</h2>")
        for block in section.blocks:
            drawings += isinstance(block, Drawing)
            parts.append(_block(block, f"{SALT}{drawings}"))
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(redact(text))


def _block(block: Block, salt: str) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Drawing):
        drawn = svg(block.figure, salt)
        return f"<figure>{drawn}<figcaption>{_text(block.caption)}</figcaption></figure>"
    if isinstance(block, Command):
        return f"<pre>{_text(block.text)}</pre>"
    return f"<p>{_text(block)}</p>"


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        marks = (' class="text"' if at < table.texts else "" for at in range(len(cells)))
        inner = "".join(
            f"<{tag}{mark}>{_text(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    body = "\n".join(row(cells, "td") for cells in table.rows)
    head = row(table.heads, "th")
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def svg(figure: Any, salt: str = SALT) -> str:
    """A figure as an SVG element that stands in a page: no prologue, no names of schemas, its text as text.

    Args:
        figure: Of matplotlib.
        salt: Makes the names inside it its own, where a page has several.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    names = {f'id="{name}"': f'id="{salt}-{name}"' for name in re.findall(r'id="([^"]+)"', text)}
    for name, own in names.items():
        text = text.replace(name, own)
    text = re.sub(r"url\(#", f"url(#{salt}-", text)
    return re.sub(r'href="#', f'href="#{salt}-', text)
