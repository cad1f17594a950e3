"""How a result shows itself: a few lines in a terminal, a small table in a notebook, whatever its size."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from html import escape
from typing import Any

Rows = list[tuple[str, str]]

# A picture of one's own colours would be unreadable on some page: ink and paper are those around it.
TABLE = "<table style='border-collapse: collapse; font-variant-numeric: tabular-nums'>"
HEAD = "<caption style='text-align: left; font-weight: bold; padding: 0.2em 0.5em'>"
NAME = "<th scope='row' style='text-align: left; font-weight: normal; opacity: 0.75; padding: 0.1em 1em 0.1em 0.5em'>"
CELL = "<td style='text-align: left; padding: 0.1em 0.5em'>"

COLUMN = "<th scope='col' style='text-align: right; font-weight: normal; opacity: 0.75; padding: 0.1em 0.5em'>"
NUMBER = "<td style='text-align: right; padding: 0.1em 0.5em'>"
MOST_ROWS = 20


def as_text(title: str, rows: Rows) -> str:
    """A headline, and a line for each row."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {cell}" for name, cell in rows)])


def as_html(title: str, rows: Rows) -> str:
    """The same as a table; whatever the texts hold, they stay text."""
    body = "".join(f"<tr>{NAME}{escape(name)}</th>{CELL}{escape(cell)}</td></tr>" for name, cell in rows)
    return f"{TABLE}{HEAD}{escape(title)}</caption><tbody>{body}</tbody></table>"


def grid_html(title: str, head: list[str], rows: list[list[str]]) -> str:
    """Columns of numbers under their names; of many rows the first and the last ones."""
    if len(rows) > MOST_ROWS:
        rows = [*rows[: MOST_ROWS // 2], ["⋮"] * len(head), *rows[-MOST_ROWS // 2 :]]
    names = "".join(f"{COLUMN}{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"{NUMBER}{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{TABLE}{HEAD}{escape(title)}</caption><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def number(value: Any) -> str:
    return f"{value.item() if hasattr(value, 'item') else value:.10g}"


def outward(bound: float, up: bool, digits: int = 15) -> str:
    """A bound in so many digits, rounded so that it stays one."""
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return f"{float(Context(prec=digits, rounding=rounding).create_decimal_from_float(float(bound))):.{digits}g}"


def proven(lower: float, upper: float, gap: float) -> str:
    return f"at least {outward(lower, False, 12)}, at most {outward(upper, True, 12)}, gap {gap:.1e}"


def memory(count: float) -> str:
    """Bytes in the unit that leaves less than four digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
