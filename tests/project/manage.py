#!/usr/bin/env python
"""A manage.py as ``startproject`` writes it: it knows nothing of WebSockets."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
