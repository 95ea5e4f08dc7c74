"""The addresses of the tests' project: a module of views for each group of tests."""

import answering_views
import api_views
import client_views
import database_views
import deploy_views
import django_views
import holding_views
import hostile_views
import login_views
import opening_views
import plain_views
import proxy_views
import stats_views

urlpatterns = [
    *answering_views.urlpatterns,
    *api_views.urlpatterns,
    *client_views.urlpatterns,
    *database_views.urlpatterns,
    *deploy_views.urlpatterns,
    *django_views.urlpatterns,
    *holding_views.urlpatterns,
    *hostile_views.urlpatterns,
    *login_views.urlpatterns,
    *opening_views.urlpatterns,
    *plain_views.urlpatterns,
    *proxy_views.urlpatterns,
    *stats_views.urlpatterns,
]
