"""`gputally tokens`: who may write to a central store and who may read what, as a configuration of vmauth."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from gputally.cli.placing import replace_file
from gputally.cli.values import GivenPath
from gputally.config.strict import ConfigError
from gputally.tokens import changes
from gputally.tokens.authfile import DamagedError, Token, read_tokens, render
from gputally.tokens.holders import Holders, read_holders

F = TypeVar("F", bound=Callable[..., Any])
_SECRET = 0o600


@click.group(no_args_is_help=False)
def tokens() -> None:
    """Tokens of nodes and teams for vmauth, in front of a central store.

    Every change writes vmauth's configuration anew; restart or reload vmauth after it. Exit status: 0 done,
    1 a file cannot be read or written, 2 the file of holders is wrong.
    """


def _files(command: F) -> F:
    for name, text in (
        ("--auth.file", "vmauth's configuration, which holds the tokens; written with mode 0600."),
        (
            "--holders.file",
            "Who may write and read: nodes, sites, teams, tenants, operators. YAML, no secrets.",
        ),
    ):
        option = click.option(
            name, name[2:].replace(".", "_"), help=text, required=True, type=GivenPath(dir_okay=False)
        )
        command = option(command)
    return command


_output = click.option(
    "--output",
    help="Folder for new tokens, one file each with mode 0600; none: standard output.",
    type=GivenPath(file_okay=False),
)


@tokens.command()
@_files
@_output
def apply(holders_file: Path, auth_file: Path, output: Path | None) -> None:
    """Give a token to every holder without one, and take those of holders that are no longer declared."""
    with _changing(holders_file, auth_file) as (holders, before, done):
        done(changes.apply(before, holders.by_key), output)


@tokens.command()
@click.argument("holder")
@_files
@_output
def rotate(holder: str, holders_file: Path, auth_file: Path, output: Path | None) -> None:
    """Give a HOLDER, such as node:gpu-node-1, one more token; the old one is good until `retire`."""
    with _changing(holders_file, auth_file) as (_, before, done):
        done(changes.rotate(before, holder), output)


@tokens.command()
@click.argument("holder")
@_files
def retire(holder: str, holders_file: Path, auth_file: Path) -> None:
    """Take all tokens of a HOLDER but the newest."""
    with _changing(holders_file, auth_file) as (_, before, done):
        done(changes.retire(before, holder), None)


@tokens.command()
@click.argument("which")
@_files
def revoke(which: str, holders_file: Path, auth_file: Path) -> None:
    """Take every token of a holder, or the one whose fingerprint it is."""
    with _changing(holders_file, auth_file) as (_, before, done):
        done(changes.revoke(before, which), None)


@tokens.command("list")
@_files
def list_(holders_file: Path, auth_file: Path) -> None:
    """Say who has which tokens, by fingerprint, and for which labels."""
    holders, have = _holders(holders_file), _tokens(auth_file)
    for key, holder in holders.by_key.items():
        own = [token.fingerprint for token in have if token.holder == key]
        labels = ",".join(f"{name}={value}" for name, value in holder.labels.items()) or "everything"
        click.echo(
            f"{key:<32} {' '.join(own) or 'no token':<26} {'writes' if holder.writes else 'reads'} {labels}"
        )
    for token in have:
        if token.holder not in holders.by_key:
            click.echo(f"{token.holder:<32} {token.fingerprint:<26} not declared: apply takes it")


@contextlib.contextmanager
def _changing(
    holders_file: Path, auth_file: Path
) -> Iterator[tuple[Holders, list[Token], Callable[[changes.Change, Path | None], None]]]:
    """What there is, and what to call with what there will be. One command at a time."""
    holders, auth_file = _holders(holders_file), Path(os.path.realpath(auth_file))
    try:
        with _locked(auth_file):
            yield (
                holders,
                _tokens(auth_file),
                lambda change, output: _save(holders, auth_file, change, output),
            )
    except changes.UnknownError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or auth_file}: {error.strerror}") from None


def _save(holders: Holders, auth_file: Path, change: changes.Change, output: Path | None) -> None:
    """New tokens first: one that only vmauth knows would be of no use to anybody."""
    for token in change.made:
        if output is not None:
            name = f"{token.holder.replace(':', '-')}.token"
            replace_file(output / name, f"{token.secret}\n".encode(), _SECRET)
    rights = [
        (holders.by_key[token.holder], token) for token in change.tokens if token.holder in holders.by_key
    ]
    replace_file(auth_file, render(holders.store, rights).encode(), _SECRET)
    for token in change.made:
        click.echo(f"{token.holder} {token.fingerprint} made" if output else f"{token.holder} {token.secret}")
    for token in change.gone:
        click.echo(f"{token.holder} {token.fingerprint} gone")


@contextlib.contextmanager
def _locked(auth_file: Path) -> Iterator[None]:
    descriptor = os.open(
        auth_file.with_name(f".{auth_file.name}.lock"),
        os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
        _SECRET,
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _holders(path: Path) -> Holders:
    try:
        return read_holders(path)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _tokens(path: Path) -> list[Token]:
    """None where there is no file yet."""
    try:
        return read_tokens(path.read_text())
    except FileNotFoundError:
        return []
    except (DamagedError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
