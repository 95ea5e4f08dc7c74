"""What all pages share: they show the code that serves them."""

from django.shortcuts import render

from .source import source_of


def page(request, template, *code, **context):
    """Render `template`; `code` are the functions and classes whose source the page shows."""
    return render(request, template, {"sources": [source_of(part) for part in code], **context})
