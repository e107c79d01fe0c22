"""`gputally export-config`: the files that come with the program, into a folder of the site's."""

from collections import Counter
from pathlib import Path

import click

from gputally import __version__
from gputally.cli.exporting import BESIDE, Action, Step, carry_out, plan
from gputally.cli.values import GivenPath
from gputally.shipped import shipped_paths, shipped_tree

_SAID = {
    Action.KEEP: "kept, as changed here",
    Action.OFFER: f"kept, as changed here; the new text is beside it, {BESIDE}",
    Action.REMOVE: "removed: not part of gputally any more",
    Action.LEAVE: "kept, as changed here, but not part of gputally any more",
}


@click.command()
@click.argument("folder", metavar="DIR", required=False, type=GivenPath(file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite what was changed in DIR, too.")
@click.option("--list", "only_list", is_flag=True, help="Say which files there are, and write none.")
def export_config(folder: Path | None, force: bool, only_list: bool) -> None:
    """Write rules, alerts, dashboards, units and all other files into DIR.

    Safe to run again after an upgrade: what was changed in DIR is kept, with the new text beside it. Exit
    status: 0 done, 2 not possible.
    """
    shipped = _shipped()
    if only_list:
        click.echo("".join(f"{path}\n" for path in shipped), nl=False)
        return
    if folder is None:
        raise click.UsageError("Missing argument 'DIR'.")
    try:
        steps = plan(folder, shipped, force=force)
        carry_out(folder, shipped, steps)
    except OSError as error:
        where = error.filename or folder
        raise click.UsageError(f"{where}: cannot be used: {error.strerror}") from None
    click.echo("\n".join(_report(folder, steps)))


def _shipped() -> dict[str, bytes]:
    """Path -> content. Raises UsageError where this installation has none."""
    tree = shipped_tree()
    if tree is None:
        raise click.UsageError("this installation of gputally came without the files: pip install gputally")
    return {path: (tree / path).read_bytes() for path in shipped_paths(tree)}


def _report(folder: Path, steps: list[Step]) -> list[str]:
    """What somebody has to look at, then a line of figures."""
    lines = [f"{folder / step.path}: {_SAID[step.action]}" for step in steps if step.action in _SAID]
    counts = Counter(step.action for step in steps)
    kept = counts[Action.KEEP] + counts[Action.OFFER] + counts[Action.LEAVE]
    summary = f"gputally {__version__}: {counts[Action.WRITE]} files written to {folder}"
    return [*lines, f"{summary}, {counts[Action.SAME]} as they were, {kept} kept"]
