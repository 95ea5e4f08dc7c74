"""Signing up. Logging in and out are Django's own views."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.views import RedirectURLMixin
from django.core.exceptions import ValidationError
from django.http import HttpResponseRedirect
from django.views.generic import FormView


class SignUpForm(UserCreationForm):
    def clean_username(self):
        username = super().clean_username()
        if username.lower().startswith("guest-"):
            raise ValidationError("Names that begin with “guest-” are for guests of the chat.")
        return username


class SignUpView(RedirectURLMixin, FormView):
    form_class = SignUpForm
    template_name = "registration/signup.html"
    next_page = "index"

    def get_context_data(self, **context):
        return super().get_context_data(next=self.get_redirect_url(), **context)

    def form_valid(self, form):
        user = form.save()
        login(self.request, user)
        messages.success(self.request, f"Welcome, {user.get_username()}!")
        return HttpResponseRedirect(self.get_success_url())
