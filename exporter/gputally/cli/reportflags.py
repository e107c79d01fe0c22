"""The flags of `gputally report`: how Prometheus is reached, which time, whose rows."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gputally.cli.shapeflags import only
from gputally.cli.values import Duration, GivenPath
from gputally.model.clock import NS_PER_SECOND

F = TypeVar("F", bound=Callable[..., Any])
PASSWORD = "GPUTALLY_PROMETHEUS_PASSWORD"  # noqa: S105 - the name of the variable; there is no flag of it
_FILE = GivenPath(dir_okay=False)


def _reach(flag: str, text: str, name: str = "", **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own
    """A flag of how Prometheus is reached; every site sets it once, in a variable."""
    variable = "GPUTALLY_" + flag.removeprefix("--").upper().replace(".", "_").replace("-", "_")
    known = name or flag.removeprefix("--prometheus.").removeprefix("--").replace("-", "_")
    return click.option(flag, known, help=text, envvar=variable, show_envvar=True, **more)


REACH = (
    _reach("--prometheus.url", "Where Prometheus is.", default="http://127.0.0.1:9090", show_default=True),
    _reach("--prometheus.user", "User, for basic authentication."),
    _reach(
        "--prometheus.password-file",
        f"File with the password in one line; or its variable, {PASSWORD}.",
        type=_FILE,
    ),
    _reach("--prometheus.ca-file", "Certificates by which the server is known, PEM.", type=_FILE),
    _reach("--prometheus.cert-file", "Our certificate, PEM.", type=_FILE),
    _reach("--prometheus.key-file", "Its key, where it is in a file of its own.", type=_FILE),
    _reach("--prometheus.insecure", "Take any certificate of the server.", is_flag=True),
    _reach("--tenant", "X-Scope-OrgID, for Mimir, Cortex and Thanos."),
    _reach(
        "--timeout",
        "Longest wait for one answer.",
        "timeout_ns",
        type=Duration(NS_PER_SECOND, 600 * NS_PER_SECOND),
        default="60s",
        show_default=True,
    ),
    _reach("--timezone", "Time zone of days and hours; that of the site if none is given."),
)


def since(default: str) -> Callable[[F], F]:
    """`--from`, where nothing is said since then."""
    return click.option(
        "--from",
        "from_text",
        help="Since when: 24h, 7d, today, yesterday, month, 2026-03, 2026-03-05, 2026-03-05T12:00.",
        default=default,
        show_default=True,
    )


RANGE = (
    since("24h"),
    click.option(
        "--to",
        "to_text",
        help="Until when; a day or month is meant to its end. Now, or the end of the "
        "day or month that --from names, if nothing is said.",
        default="",
    ),
)
CLUSTER = only("cluster", "Only this cluster.")
WHO = (
    only("team", "Only this team."),
    only("user", "Only this user."),
    only("model", "Only this model."),
)
TOLD = (
    click.option(
        "--ledger",
        "ledger_file",
        help="Jobs of this ledger, too: those that ran elsewhere, and how Slurm says that its own ended.",
        type=_FILE,
    ),
    click.option(
        "--config.file",
        "config_file",
        help="The same of the ledger that this configuration names.",
        type=_FILE,
    ),
)
PRICE = click.option(
    "--re-price",
    "price_file",
    type=_FILE,
    help="Price the range anew, with the tariff of this configuration file.",
)

CONFIG = click.option(
    "--config.file",
    "config_file",
    help="Configuration of the site agent, YAML: budgets, chargeback, and where the ledger is.",
    envvar="GPUTALLY_CONFIG_FILE",
    show_envvar=True,
    type=_FILE,
    required=True,
)
PERIOD = (
    click.option(
        "--month",
        help="Which month, such as 2026-11; if nothing is said, the budget's present period, or this month.",
    ),
    click.option("--period", help="Or which period: 2026-11, 2026-Q4, 2026-W48, 2026."),
)


class By(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """`team,user,day`: what rows are grouped by."""

    name = "columns"

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Known columns, each once; days come first."""
        if isinstance(value, tuple):
            return value
        names = [name.strip() for name in value.split(",")] if value else []
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is none of {', '.join(self.known)}", param, ctx)
        return tuple(sorted(dict.fromkeys(names), key=lambda name: name != "day"))


def by(default: str, *known: str) -> Callable[[F], F]:
    """`--by` with the columns that it may name."""
    text = f"What rows are grouped by: some of {', '.join(known)}."
    return click.option("--by", help=text, type=By(known), default=default, show_default=bool(default))
