"""A Django project whose views block, each in its own way, while others echo."""
