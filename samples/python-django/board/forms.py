"""What a visitor may fill in."""

from django import forms

from board.models import Note


class NoteForm(forms.ModelForm):
    """A note to be pinned."""

    class Meta:
        model = Note
        fields = ("author", "text")
