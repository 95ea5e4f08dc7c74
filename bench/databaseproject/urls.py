from django.urls import path

from bench.databaseproject import views

urlpatterns = [path("query/", views.query)]
