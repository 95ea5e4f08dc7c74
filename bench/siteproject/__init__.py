"""A Django project with the default middlewares, for our server and for Channels alike."""
