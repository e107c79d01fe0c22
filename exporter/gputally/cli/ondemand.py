"""A group whose commands are modules of their own, imported when they are named."""

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar

import click


class OnDemand(click.Group):
    """So that no command carries the others about. A subclass says where they are."""

    # Name -> module below `cli`, and what it calls the command.
    places: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(self.places)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command, or None."""
        if name not in self.places:
            return None
        module, attribute = self.places[name]
        command: click.Command = getattr(import_module(f"gputally.cli.{module}"), attribute)
        return command
