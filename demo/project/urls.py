"""A WebSocket has a URL like any other view: nothing here knows which is which."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView
from showcase.accounts import SignUpView

urlpatterns = [
    path("", include("showcase.urls")),
    # Browsers ask for it where a page names no icon, as plain text does not.
    path("favicon.ico", RedirectView.as_view(url="/static/showcase/icon.svg")),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/signup/", SignUpView.as_view(), name="signup"),
]
