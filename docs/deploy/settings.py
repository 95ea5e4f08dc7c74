"""What Django must know of the proxy in front. To be copied into a project's settings."""

#: The names of the site; a request for any other one gets 400.
ALLOWED_HOSTS = ["www.example.com"]

#: The proxy says whether the client came by TLS. Without it the origin check refuses every
#: page of the site with 403, for the page says https:// and the request would say http://.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

#: The proxy passes Host on. Only for one that does not: take X-Forwarded-Host instead.
USE_X_FORWARDED_HOST = False

#: The proxy says who the client is; without it all are one, with the proxy's address.
WEBSOCKET_CLIENT_ADDRESS = "django_websocket_ev.limits.forwarded_for"
