"""A Django project of nothing but echoes."""
