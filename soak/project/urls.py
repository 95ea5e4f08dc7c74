from django.urls import path

from soak.project import views

urlpatterns = [
    path("echo/", views.echo),
    path("takeover/", views.takeover),
    path("stream/", views.stream),
    path("ticker/", views.ticker),
    path("slow/", views.slow),
    path("leave/", views.leave),
    path("page/", views.page),
    path("vitals/", views.vitals),
    path("suspects/", views.suspects),
]
