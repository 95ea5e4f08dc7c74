"""The Django project that is soaked."""
