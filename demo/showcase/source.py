"""Python source as HTML: escaped, with a little colour from the standard library's tokenizer."""

import inspect
import io
import keyword
import textwrap
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe


@dataclass(frozen=True)
class Source:
    """A function or class as a page shows it."""

    name: str
    file: str
    html: SafeString


@cache
def source_of(code):
    code = inspect.unwrap(code)
    text = textwrap.dedent(inspect.getsource(code))
    return Source(code.__qualname__, Path(inspect.getsourcefile(code)).name, highlight(text))


def highlight(text):
    """Wrap keywords, strings, comments, numbers, decorators and defined names in <span>s.

    Every character of the source is copied from the source, in order: a token can add a colour
    but can't lose or change a character.
    """
    starts = [0]
    for line in io.StringIO(text):
        starts.append(starts[-1] + len(line))
    html, done = [], 0
    for css_class, (row, column), (end_row, end_column) in _colours(text):
        start, end = starts[row - 1] + column, starts[end_row - 1] + end_column
        if start < done:  # inside what already has its colour
            continue
        html += escape(text[done:start]), f'<span class="{css_class}">', escape(text[start:end])
        html += ("</span>",)
        done = end
    return mark_safe("".join([*html, escape(text[done:])]).rstrip())


def _colours(text):
    """Yield (CSS class, start, end) of each token that gets a colour."""
    before = None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            yield "comment", token.start, token.end
        elif kind == "STRING" or kind.startswith("FSTRING"):
            yield "string", token.start, token.end
        elif kind == "NUMBER":
            yield "number", token.start, token.end
        elif kind == "NAME" and before == "@":
            yield "decorator", token.start, token.end
        elif kind == "NAME" and before in ("def", "class"):
            yield "defined", token.start, token.end
        elif kind == "NAME" and keyword.iskeyword(token.string):
            yield "keyword", token.start, token.end
        before = token.string
