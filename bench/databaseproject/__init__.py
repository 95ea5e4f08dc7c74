"""A Django project whose one view queries for each message, for our server and for Channels."""
