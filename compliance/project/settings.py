"""As little as an echo needs. Everything that is not named here is at its default."""

SECRET_KEY = "a test on a loopback address"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_websocket_ev"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "compliance.project.urls"
USE_TZ = True

WEBSOCKET_MAX_MESSAGE_SIZE = 2**24  # 9.1.6 and others echo 16 MiB, to the byte
