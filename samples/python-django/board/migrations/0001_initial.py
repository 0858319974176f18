"""Makes the table of notes and pins the first ones."""

from django.db import migrations, models

FIRST = (
    ("pylife", "This page comes from an image that was built without a Docker daemon."),
    ("release", "These notes were put here by the migration that ran in the release process."),
)


def pin_first_notes(apps, schema_editor):
    """Fills the empty board."""
    note = apps.get_model("board", "Note")
    for author, text in FIRST:
        note.objects.create(author=author, text=text)


class Migration(migrations.Migration):
    """The first schema."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("author", models.CharField(max_length=40)),
                ("text", models.CharField(max_length=200)),
                ("pinned_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ("-pinned_at", "-id")},
        ),
        migrations.RunPython(pin_first_notes, migrations.RunPython.noop),
    ]
