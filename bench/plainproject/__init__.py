"""A Django project with an echo, views that invite misuse, and settings from outside."""
