"""UTF-8, by the grammar of RFC 3629 section 4 and not by Python's decoder."""

from __future__ import annotations

import re

_TAIL = rb"[\x80-\xbf]"
_CHARACTER = rb"""
    [\x00-\x7f]
    | [\xc2-\xdf] %(tail)s
    | \xe0 [\xa0-\xbf] %(tail)s | [\xe1-\xec] %(tail)s{2}
    | \xed [\x80-\x9f] %(tail)s | [\xee-\xef] %(tail)s{2}
    | \xf0 [\x90-\xbf] %(tail)s{2} | [\xf1-\xf3] %(tail)s{3} | \xf4 [\x80-\x8f] %(tail)s{2}
""" % {b"tail": _TAIL}
_BEGINNING = rb"""
    [\xc2-\xdf]
    | (\xe0 [\xa0-\xbf] | [\xe1-\xec\xee\xef] %(tail)s | \xed [\x80-\x9f])
    | [\xe0-\xef]
    | (\xf0 [\x90-\xbf] | [\xf1-\xf3] %(tail)s | \xf4 [\x80-\x8f]) %(tail)s?
    | [\xf0-\xf4]
""" % {b"tail": _TAIL}
_UTF8 = re.compile(rb"(?:%s)*" % _CHARACTER, re.VERBOSE)
_UTF8_SO_FAR = re.compile(rb"(?:%s)*(?:%s)?" % (_CHARACTER, _BEGINNING), re.VERBOSE)


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is UTF-8."""
    return data.isascii() or _UTF8.fullmatch(data) is not None


def begins_utf8(data: bytes) -> bool:
    """Whether more bytes could make UTF-8 of ``data``, if it is not already."""
    return data.isascii() or _UTF8_SO_FAR.fullmatch(data) is not None
