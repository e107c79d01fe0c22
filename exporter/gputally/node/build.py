"""Puts a node agent's parts together from its settings; the only place that knows all of them."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from gputally.config.settings import NodeSettings
from gputally.config.teams import TeamRule
from gputally.model import Clock, HostCounters, Instant, WebReport
from gputally.node.attribution.book import Book
from gputally.node.crashes import LIMIT, CrashRecord
from gputally.node.crew import Crew
from gputally.node.host import HostReader
from gputally.node.identity.assemble import Knowing, identities
from gputally.node.identity.proc import boot_id
from gputally.node.jobs import Jobs
from gputally.node.persistence import Persistence
from gputally.node.processes import ProcessTable
from gputally.node.roster import Roster
from gputally.node.sampler import Sampler
from gputally.node.session import Session
from gputally.node.sources import choices, simulation
from gputally.node.worker import Outcome
from gputally.tariff import Schedule

logger = logging.getLogger(__name__)


def build_sampler(
    settings: NodeSettings,
    clock: Clock,
    web_report: Callable[[], WebReport],
    own_figures: Callable[[], dict[str, float]],
) -> Sampler:
    """Make a sampler that is ready to start. Raises StateFolderInUse when another agent writes the state."""
    outcomes: SimpleQueue[Outcome] = SimpleQueue()
    boot = read_boot_id(settings.path_procfs)
    persistence = Persistence(settings.state_dir, boot)
    lists_off = _crashes(settings, clock)
    lists = (settings.collector_processes or settings.collector_jobs) and not lists_off
    machine = simulation(settings, clock) if settings.source == "simulated" else None
    table = None
    if settings.collector_processes and not lists_off:
        table = ProcessTable(settings.path_procfs, machine.identify if machine is not None else None)
    knowing = identities(settings, clock, boot, machine) if settings.collector_jobs else None
    schedule = Schedule(settings.site.tariff)
    jobs = _jobs(settings, knowing, persistence, clock()) if knowing is not None else None
    if jobs is not None:
        jobs.reprice(schedule.tariff.currency, schedule.names)
    return Sampler(
        session=Session(choices(settings, clock, processes=lists), outcomes, clock),
        crew=Crew(outcomes, clock),
        roster=_roster(settings, persistence, boot, schedule),
        persistence=persistence,
        outcomes=outcomes,
        clock=clock,
        interval_seconds=settings.sample_interval_ns / 1e9,
        processes=table,
        jobs=jobs,
        kubelet=knowing.kubelet if knowing is not None else None,
        regroup=partial(_regroup, knowing, jobs) if knowing is not None and jobs is not None else None,
        lists_off=lists_off,
        host=_host(settings, clock, persistence),
        web_report=web_report,
        own_figures=own_figures,
    )


def _roster(settings: NodeSettings, persistence: Persistence, boot: str, schedule: Schedule) -> Roster:
    roster = Roster(boot, settings.sample_interval_ns, persistence, schedule)
    if not persistence.is_latest:
        roster.money_from_zero()
    return roster


def _host(
    settings: NodeSettings, clock: Clock, persistence: Persistence
) -> Callable[[], HostCounters] | None:
    if not settings.collector_host:
        return None
    return HostReader(settings.path_procfs, settings.path_sysfs, clock, persistence.host_joules).read


def _crashes(settings: NodeSettings, clock: Clock) -> bool:
    """Whether the agent crashes again and again; reading processes is what drivers have crashed in."""
    if settings.state_dir is None:
        return False
    crashed = CrashRecord(settings.state_dir).started(clock().wall_seconds)
    if crashed >= LIMIT:
        logger.error("crashed %d times within a minute: processes stay off", crashed)
    return crashed >= LIMIT


def _jobs(settings: NodeSettings, knowing: Knowing, persistence: Persistence, now: Instant) -> Jobs:
    book = Book(
        settings.jobs_idle_policy,
        keep_ns=settings.jobs_keep_ns,
        announce_ns=settings.jobs_announce_ns,
        declared=[team.name for team in settings.teams],
    )
    jobs = Jobs(knowing.jobs, book, settings.jobs_idle_policy, settings.idle_watts)
    jobs.restore(persistence.ledger, now, clean=persistence.is_latest, same_boot=persistence.same_boot)
    return jobs


def _regroup(knowing: Knowing, jobs: Jobs, teams: Sequence[TeamRule]) -> None:
    """Other rules of teams, for jobs that begin from now on."""
    knowing.binder.teams = teams
    jobs.declare([team.name for team in teams])


def read_boot_id(proc_root: Path) -> str:
    """The kernel's word for this boot; "unknown" where it cannot be read."""
    return boot_id(str(proc_root)) or "unknown"
