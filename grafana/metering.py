"""The metering itself: are the agents there, is what they say fresh and right, what does it cost to ask?"""

from grafana import meteringcharts
from grafana.absence import ABSENT, said
from grafana.gains import in_range
from grafana.page import Line
from grafana.panels import LOST, Look, Steps, row, stat
from grafana.queries import AGENTS, OURS, Json, instant, unit_of

_WARN: Steps = ((None, "green"), (1, "orange"))
_COUNT = Look("short", sparkline=False)
_BAD = Look("short", LOST, decimals=0, sparkline=False)
_ODD = Look("short", _WARN, decimals=0, sparkline=False)
_AGE = Look("s", ((None, "green"), (60, "orange"), (120, "red")), decimals=0, sparkline=False)
_ENDS = Look("s", ((None, "red"), (0, "orange"), (14 * 86400, "green")), decimals=0, sparkline=False)
_RIGHT: Steps = ((None, "orange"), (0.995, "green"), (1.005, "orange"))  # as the alert about the audit
_RATIO = Look("none", _RIGHT, decimals=3, sparkline=False, missing="not yet")


def lines_of_panels() -> list[Line]:
    """The last part of the page."""
    tiles = [*_agents(), *_figures()]
    return [
        (1, [(24, row("The metering itself"))]),
        *((3, [(6, one) for one in tiles[first : first + 4]]) for first in range(0, len(tiles), 4)),
        (7, [(8, one) for one in meteringcharts.troubles()]),
        (7, [(8, one) for one in meteringcharts.pace()]),
        (7, [(8, one) for one in meteringcharts.server()]),
        (7, [(8, one) for one in meteringcharts.processes()]),
        (7, [(8, one) for one in meteringcharts.prometheus()]),
        (7, [(8, one) for one in meteringcharts.books()]),
    ]


def _agents() -> list[Json]:
    up = f"up{{{AGENTS}}}"
    return [
        stat("Agents up", "Node agents that Prometheus can scrape.", instant(f"sum({up})", "up"), _COUNT),
        stat(
            "Agents down",
            "Node agents that Prometheus cannot scrape: their GPUs are missing from all pages.",
            instant(f"sum({up} == bool 0)", "down"),
            _BAD,
        ),
        stat(
            "Without a driver",
            "Agents that cannot open any source of readings; the reason stands in a graph below.",
            instant("sum(gputally_driver_up{} == bool 0)", "without"),
            _BAD,
        ),
        stat(
            "Oldest sample",
            "Age of the oldest picture that an agent shows. Seconds are normal; minutes mean a hung agent.",
            instant("max(time() - gputally_last_sample_timestamp_seconds{})", "age"),
            _AGE,
        ),
        stat(
            "Collectors failing",
            "Collectors whose latest run did not bring all that it should.",
            instant("sum(gputally_collector_success{} == bool 0)", "failing"),
            _ODD,
        ),
        stat(
            "Hung driver calls",
            "Calls into the driver that have not come back in time. Each costs its own GPU only.",
            instant("sum(gputally_stuck_workers{})", "hung"),
            _BAD,
        ),
        stat(
            "State not written",
            "Agents that could not write their counters at the latest tick; a restart now would lose them.",
            instant("sum(gputally_state_write_success{} == bool 0)", "unsaved"),
            Look("short", LOST, decimals=0, sparkline=False, missing="no state"),
        ),
        stat(
            "Files refused",
            "Configurations, prices and carbon files that could not be loaded; what was before is still in "
            "force.",
            instant(f"sum(gputally_config_last_reload_success{{{OURS}}} == bool 0)", "refused"),
            _ODD,
        ),
    ]


def _figures() -> list[Json]:
    return [
        _certificate(),
        stat(
            "Families left out",
            "Families that are missing from agents' pages because a value could not be written; the log "
            "says which.",
            instant("sum(gputally_left_out_families{})", "left out"),
            _BAD,
        ),
        stat(
            "Folded into other",
            "Processes and jobs that stand together as other, because there are more than are shown one by "
            "one.",
            instant("sum(gputally_capped_items{})", "folded"),
            _ODD,
        ),
        stat(
            "Series in a scrape",
            "Series that the node agents show in a scrape, all together.",
            instant(f"sum(scrape_samples_scraped{{{AGENTS}}})", "series"),
            _COUNT,
        ),
        stat(
            "Joules add up",
            "Energy of teams and of nobody, over that of the GPUs, of the last hour: 1 is right.",
            instant(_conserved(), "ratio"),
            _RATIO,
        ),
        stat(
            "Cost adds up",
            "What the machines have charged over the last day, over their joules times the prices that the "
            "site agent declares, of the cluster that is furthest off: 1 is right. Not yet: there is no "
            "site agent, or nothing to compare.",
            instant(_furthest("cluster:gpu_energy_cost_audit:ratio1d{}"), "ratio"),
            _RATIO,
        ),
        stat(
            "Energy not believed",
            "Energy that drivers' counters claimed in the time range and physics forbids; it is not counted.",
            instant(in_range("gpu_energy_clamped_joules_total{}"), "not believed"),
            Look(
                unit_of("gpu_energy_clamped_joules_total"),
                ((None, "green"), (1000, "orange")),
                sparkline=False,
            ),
        ),
        stat(
            "Time not measured",
            "GPU time in the range for which no energy could be measured, so that none was counted.",
            instant(in_range("gpu_energy_unmeasured_seconds_total{}"), "not measured"),
            Look("s", ((None, "green"), (60, "orange")), sparkline=False),
        ),
    ]


def _certificate() -> Json:
    ends = f"min(gputally_web_certificate_expiry_timestamp_seconds{{{OURS}}} - time())"
    body = stat(
        "Certificate lasts",
        "For how long the certificate lasts that ends first. None: no agent serves over TLS.",
        instant(f"{ends} or {ABSENT} * group(up{{{AGENTS}}})", "certificate"),
        _ENDS,
    )
    body["fieldConfig"]["defaults"]["mappings"] = [said("none")]
    return body


def _conserved() -> str:
    gpus = "sum(increase(gpu_energy_joules_total{}[1h]))"
    nobody = "sum(increase(gpu_unattributed_energy_joules_total{}[1h]))"
    # Where no job has run yet there is no team.
    teams = f"(sum(increase(gpu_team_energy_joules_total{{}}[1h])) or 0 * {gpus})"
    return f"({teams} + {nobody}) / ({gpus} > 0)"


def _furthest(ratio: str) -> str:
    """Of several ratios, the one that is furthest from 1, in either direction."""
    return f"1 + topk(1, abs({ratio} - 1)) * sgn({ratio} - 1)"
