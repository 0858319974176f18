"""The pages of the sample."""

from django.urls import include, path

urlpatterns = [path("", include("board.urls"))]
