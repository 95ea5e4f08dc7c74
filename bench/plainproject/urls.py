from django.urls import path

from bench.plainproject import views

urlpatterns = [
    path("echo/", views.echo),
    path("stream/", views.stream),
    path("slow/", views.slow),
    path("leave/", views.leave),
]
