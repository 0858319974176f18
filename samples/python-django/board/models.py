"""What a notice board holds."""

from django.db import models


class Note(models.Model):
    """A line that somebody pinned to the board."""

    author = models.CharField(max_length=40)
    text = models.CharField(max_length=200)
    pinned_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pinned_at", "-id")

    def __str__(self) -> str:
        return f"{self.author}: {self.text}"
