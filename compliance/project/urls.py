from django.urls import path

from compliance.project import views

urlpatterns = [
    path("echo/", views.by_default),
    path("takeover/", views.takeover),
]
