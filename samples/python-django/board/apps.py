"""The notice board as a Django app."""

from django.apps import AppConfig


class BoardConfig(AppConfig):
    """Names the app."""

    name = "board"
