"""The ``idol`` command: one file a command, registered here and nowhere else.

Nothing here, nor at the top of a command's file, imports torch, numpy or av: ``idol --help`` answers at once.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import _errors, _output, _third_party

COMMANDS = ("prep", "train", "generate", "export", "bench", "demo", "inspect", "figure", "weights", "doctor")
"""In the order of the work, and of ``idol --help``."""

_HELP = """IDOL: a person's picture, a background and a pose sequence become a video and its depth.

Prepare data, train, generate and benchmark. New here? [bold]idol demo[/bold], then [bold]idol doctor[/bold].
"""


class ExplainingGroup(TyperGroup):
    """A group whose commands end in one line and an exit code where they fail."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the work, groups among commands."""
        return [name for name in COMMANDS if name in self.commands]

    def invoke(self, ctx: Any) -> Any:
        _output.reset_mode()
        with _errors.explained_errors():
            return super().invoke(ctx)


def build_app() -> typer.Typer:
    """The whole command line, as a fresh typer application."""
    app = typer.Typer(
        name="idol",
        help=_HELP,
        cls=ExplainingGroup,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name in COMMANDS:
        import_module(f"cli.{name}").register(app)
    return app


def main() -> None:
    """Entry point of the ``idol`` script."""
    _output.warnings_as_lines()
    _third_party.keep_quiet()
    build_app()(prog_name="idol")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"idol {version('idol-video-depth')}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


if __name__ == "__main__":
    main()
