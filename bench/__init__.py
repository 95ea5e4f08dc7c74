"""Benchmarks of django-websocket-ev; README.rst says what each one measures and how to run it."""
