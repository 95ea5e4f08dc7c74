"""Views for the tests of the Django surface: decorators, middleware, sessions, settings."""

urlpatterns = []
