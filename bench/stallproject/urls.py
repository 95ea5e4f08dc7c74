from django.urls import path

from bench.stallproject import views

urlpatterns = [
    path("echo/", views.echo),
    path("sleep/", views.sleep),
    path("query/", views.query),
    path("fetch/", views.fetch),
    path("compute/", views.compute),
]
