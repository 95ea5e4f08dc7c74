from django.urls import path

from bench.siteproject import views

urlpatterns = [
    path("echo/", views.echo),
    path("user/", views.user),
    path("query/", views.query),
]
