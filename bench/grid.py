"""Rows of text as a table that is reStructuredText and can be read as it is."""

from __future__ import annotations

from collections.abc import Sequence


def grid(lines: Sequence[Sequence[str]], head: int = 2, texts: int = 1) -> str:
    """A simple table whose first lines are its ``head``.

    Its first columns are ``texts``, and the others figures, which stand to the right.
    """
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    rule = "  ".join("=" * max(1, width) for width in widths)
    written = []
    for number, line in enumerate(lines):
        # To the left in the head: what is indented there would be a quotation.
        lefts = len(line) if number < head else texts
        cells = [
            cell.ljust(width) if place < lefts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        written.append("  ".join(cells).rstrip())
        if number == head - 1:
            written.append(rule)
    return "\n".join([rule, *written, rule])
