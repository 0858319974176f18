"""What all commands share: the common options, the session they run in, and the shape of their help."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.cli.render import Renderer, choose, default_renderer
from lifecycle.cli.text import suggestion
from lifecycle.errors import UsageError
from lifecycle.events import Message

if TYPE_CHECKING:
    from types import TracebackType

    from lifecycle.app.ports import Ports
    from lifecycle.app.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Terminated(BaseException):
    """SIGTERM arrived: unwind, so that temporary files and processes go too."""


class Session:
    """One run of one command: how it talks, what it was told and what it works on. Settings and ports open late."""

    def __init__(self) -> None:
        self.renderer: Renderer = default_renderer()
        self.verbose = False
        self.quiet = False
        self.progress = "auto"
        self._flags: dict[str, object] = {}
        self._settings: Settings | None = None
        self._ports: Ports | None = None

    def configure(self, progress: str | None, quiet: bool, verbose: bool, flags: dict[str, object]) -> None:
        """Take the common options; ``flags`` are settings by field name."""
        self.verbose = verbose
        self._flags = flags
        if progress is None and not quiet:
            progress = self.settings.progress.value
        self.quiet, self.progress = quiet, progress or "auto"
        self.renderer = choose(self.progress, quiet=quiet, verbose=verbose)

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            from lifecycle.app.settings import load_settings

            self._settings = load_settings(self._flags)
        return self._settings

    @property
    def ports(self) -> Ports:
        if self._ports is None:
            from lifecycle.app.ports import open_ports

            self._ports = open_ports(self.settings, self.renderer)
        return self._ports

    def print(self, text: str, *, newline: bool = True) -> None:
        """The result, or a part of it, on stdout."""
        self.renderer.pause()
        click.echo(text, nl=newline)

    def say(self, text: str) -> None:
        """One sentence for the user that is not the result."""
        self.renderer.emit(Message(text))

    def print_json(self, data: object) -> None:
        """The result as JSON on stdout."""
        import json

        self.print(json.dumps(data, indent=2, ensure_ascii=False))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if self._ports is not None:
                self._ports.close()
        finally:
            self.renderer.close()


class _Progress(click.Choice[str]):
    """The ways to show progress, under BuildKit's names too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert("json" if value == "rawjson" else value, param, ctx)


def _common_options(taken: set[str]) -> list[click.Parameter]:
    """The options of every command; ``-v`` and ``-q`` stay the command's own where it has them."""
    verbose, quiet = ["-v", "--verbose"], ["-q", "--quiet"]
    return [
        click.Option(
            ["--progress"],
            type=_Progress(["auto", "tty", "plain", "json", "quiet"]),
            help="How progress is shown on stderr (json: one event a line; quiet: as -q).",
        ),
        click.Option(
            [name for name in quiet if name not in taken], is_flag=True, help="Show the result and errors only."
        ),
        click.Option([name for name in verbose if name not in taken], is_flag=True, help="Show more, and tracebacks."),
    ]


class Command(click.Command):
    """A command with the common options and examples; its callback gets the ``Session`` first.

    ``rewrite`` sees the words of the command line before they are parsed: it changes them, or raises UsageError.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        early: bool = False,
        rewrite: Callable[[list[str]], list[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.early = early
        self.rewrite = rewrite
        self.params.extend(_common_options({name for param in self.params for name in param.opts}))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.rewrite(args) if self.rewrite else args)

    def invoke(self, ctx: click.Context) -> Any:
        session = ctx.find_object(Session)
        assert session is not None
        progress = ctx.params.pop("progress")
        quiet, verbose = ctx.params.pop("quiet"), ctx.params.pop("verbose")
        if progress == "quiet":
            progress, quiet = None, True
        flags = {name: ctx.params.pop(name) for name in SETTING_FLAGS if name in ctx.params}
        if self.early:
            progress = progress or "auto"
        session.configure(progress, quiet, verbose, flags)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class Group(click.Group):
    """A command made of commands (``pylife registry serve``); without one it shows its help and counts as misused."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            path = ctx.command_path
            raise UsageError(
                f"There is no command `{path} {args[0]}`",
                fix=suggestion(args[0], names, f"`{path} --help` lists the commands."),
            )
        return super().resolve_command(ctx, args)


def command(*, examples: Sequence[str], early: bool = False, **attributes: Any) -> Callable[[F], Command]:
    """Make a function ``(session, …)`` a command named as its module's row says.

    ``early`` commands work whatever the settings file says.
    """

    def decorate(function: F) -> Command:
        passing = click.pass_obj(function)
        made = click.command(cls=Command, examples=examples, early=early, **attributes)(passing)
        assert isinstance(made, Command)
        return made

    return decorate


SETTING_FLAGS = (
    *("insecure_registry", "registry_mirror", "registry_map", "ca_file", "compression", "isolation"),
    "cache_namespace",
)


def setting_flag(*names: str) -> Callable[[F], F]:
    """Options that override settings; the command reads them from ``session.settings``, not as parameters."""
    options = {
        "insecure_registry": click.option(
            "--insecure-registry",
            multiple=True,
            metavar="HOST[:PORT]",
            help="Speak plain HTTP, or HTTPS without checking the certificate, to this registry.",
        ),
        "registry_mirror": click.option(
            "--registry-mirror",
            multiple=True,
            metavar="[REGISTRY=]HOST[/PATH]",
            help="Ask this mirror of REGISTRY (docker.io when not given) first.",
        ),
        "registry_map": click.option(
            "--registry-map", multiple=True, metavar="FROM=TO", help="Read images of FROM from TO instead."
        ),
        "ca_file": click.option("--ca-file", multiple=True, metavar="FILE", help="Trust these certificates (PEM) too."),
        "compression": click.option(
            "--compression", metavar="gzip|zstd|none", help="How new layers are compressed (default: gzip)."
        ),
        "isolation": click.option(
            "--isolation",
            type=click.Choice(["auto", "userns", "mountns", "chroot"]),
            help="Which kind of sandbox to use (default: the best that this host allows).",
        ),
        "cache_namespace": click.option(
            "--cache-namespace",
            metavar="NAME|off",
            help="Share downloads with builds of this namespace only, or with none (default: default).",
        ),
    }

    def decorate(function: F) -> F:
        return functools.reduce(lambda made, name: options[name](made), reversed(names), function)

    return decorate


registry_flags = setting_flag("insecure_registry", "registry_mirror", "registry_map", "ca_file")
json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
platform_flag = click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="Which image of an index (default: this host's)."
)
