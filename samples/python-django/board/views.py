"""The board's one page."""

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from board.forms import NoteForm
from board.models import Note


def board(request: HttpRequest) -> HttpResponse:
    """Shows the notes and pins a new one; without its table it says how to make one."""
    form = NoteForm(request.POST or None)
    try:
        if request.method == "POST" and form.is_valid():
            form.save()
            return redirect("board")
        notes, ready = list(Note.objects.all()[:50]), True
    except DatabaseError:
        notes, ready = [], False
    return render(request, "board/index.html", {"notes": notes, "ready": ready, "form": form})


def health(request: HttpRequest) -> HttpResponse:
    """Says that the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")
