"""``pylife rebase``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command, json_flag, registry_flags


@command(examples=["pylife rebase demo", "pylife rebase localhost:5000/app --run-image pylife/bookworm-run --dry-run"])
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--run-image", metavar="NAME", help="The new run image (default: the same name, as it is now).")
@click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")
@click.option("--force", is_flag=True, help="Take a run image of another name.")
@click.option("--push/--no-push", "--publish/--no-publish", "push", default=None, help="Push, or keep it local.")
@registry_flags
@json_flag
def rebase(
    session: Session,
    names: tuple[str, ...],
    run_image: str | None,
    dry_run: bool,
    force: bool,
    push: bool | None,
    as_json: bool,
) -> None:
    """Put a new run image under app images, without a build: no layer is read, only the new base's are sent."""
    from lifecycle.app.rebase import rebase_image

    results = [
        rebase_image(name, session.ports, run_image=run_image, dry_run=dry_run, force=force, push=push)
        for name in names
    ]
    if as_json:
        session.print_json(
            [
                {
                    "name": item.name,
                    "run_image": item.run_image,
                    "before": str(item.before.digest),
                    "digest": str(item.after.digest),
                    "changed": item.changed,
                    "pushed": item.pushed,
                }
                for item in results
            ]
        )
        return
    for item in results:
        if not item.changed:
            session.say(f"{item.name} already stands on {item.run_image} as it is now.")
        elif dry_run:
            session.say(f"{item.name} would get {item.run_image} under it: {item.before.digest} would become:")
        session.print(f"{item.name}@{item.after.digest}")
