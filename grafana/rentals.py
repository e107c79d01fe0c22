"""What the site rents and what it plans to, as the configuration declares it: could it be had for less?"""

from dataclasses import replace

from grafana.offers import COUNT, DAYS, KIND, MONTHLY, USD
from grafana.overrides import dashed, of_query, overridden
from grafana.panels import Look, timeseries
from grafana.queries import Json, series
from grafana.tables import Column, joined, or_said, table, words

_PAID = "gpu_rental_usd_per_gpu_hour{}"
_SAVING = "rental:gpu_rental_saving_usd_per_month:max{}"
_ONE = "cluster, rental"
_PLAN = "cluster, plan"
_NO_RENTAL = "No rental is known: none is declared under rentals, or the site agent is not scraped"
_NO_PLAN = "No plan is known: none is declared under plans, or the site agent is not scraped"


def declared() -> Json:
    """Each rental, what it costs, and what it would cost where it is cheapest."""
    best = f"min by (cluster, {KIND}) (card:gpu_market_usd_per_gpu_hour:min{{}})"
    now = f"0 * max by ({_ONE}, {KIND}) ({_PAID}) + on (cluster, {KIND}) group_left () {best}"
    month = " * ".join(f"max by ({_ONE}) ({one})" for one in (_PAID, "gpu_rental_gpus{}", _HOURS))
    saving = f"max by ({_ONE}) ({_SAVING})"
    columns = [
        *joined("cluster"),
        Column("Rental", name="rental", width=110),
        Column("Team", name="team", width=90),
        Column("Provider", name="provider", width=95),
        Column("Card", name="card"),
        Column("Price tier", name="price_tier", width=85),
        Column("Host tier", name="host_tier", width=95),
        Column("GPUs", expr=f"max by ({_ONE}) (gpu_rental_gpus{{}})", look=COUNT, width=60),
        Column("Hours a day", expr=f"max by ({_ONE}) ({_HOURS})", look=COUNT, width=95),
        Column("USD an hour", expr=f"max by ({_ONE}, team, provider, {KIND}) ({_PAID})", look=USD, width=100),
        Column("Cheapest now", expr=f"max by ({_ONE}) ({now})", look=USD, width=110),
        Column("A month", expr=f"{month} * {DAYS}", look=MONTHLY, width=90),
        Column("Saving a month", expr=saving, look=replace(MONTHLY, steps=((None, "green"),)), width=140),
        Column(
            "Alert above",
            expr=f"max by ({_ONE}) (gpu_rental_alert_usd_per_month{{}})",
            look=MONTHLY,
            width=100,
        ),
    ]
    body = table(
        "Rented now (USD)",
        "What is declared under rentals. Cheapest now: of the same card and tiers, of all providers and "
        f"regions, a GPU hour. A month: GPUs times hours a day times {DAYS} days. Saving: what of it moving "
        "to the cheapest would leave; what moving takes is not in it.",
        columns,
        sort=("Saving a month",),
        descending=True,
    )
    return or_said(body, _NO_RENTAL)


_HOURS = "gpu_rental_hours_per_day{}"


def planned() -> Json:
    """Each plan, and whether the market is as cheap as it waits for."""
    costs, target = (f"max by ({_PLAN}) (gpu_plan_{what}_usd{{}})" for what in ("cheapest", "target"))
    reached = words({"1": ("target reached", "green"), "0": ("dearer than its target", "text")})
    columns = [
        *joined("cluster"),
        Column("Plan", name="plan", width=110),
        Column("Provider", name="provider", width=95),
        Column("Card", name="card"),
        Column("GPUs", expr=f"max by ({_PLAN}, provider, card) (gpu_plan_gpus{{}})", look=COUNT, width=60),
        Column("Cheapest", expr=costs, look=USD, width=95),
        Column("Target", expr=target, look=USD, width=90),
        Column("State", expr=f"{costs} <= bool {target}", cell="color-text", mappings=(reached,)),
    ]
    body = table(
        "Planned (USD)",
        "What is declared under plans: the cheapest way of it now, with one provider and one card, in the "
        "numbers in which they are sold; and the sum that it waits for. gputally plan shows the other ways.",
        columns,
        sort=("Plan",),
    )
    return or_said(body, _NO_PLAN)


def plans_over_time() -> Json:
    """Is waiting worth while?"""
    body = timeseries(
        "Plans over time (USD)",
        "What each plan costs at its cheapest; dashed, the sum that it waits for.",
        [
            series(f"max by ({_PLAN}) (gpu_plan_cheapest_usd{{}})", "{{plan}}"),
            series(f"max by ({_PLAN}) (gpu_plan_target_usd{{}})", "{{plan}}, target"),
        ],
        Look(USD.unit, minimum=0, stepped=True),
    )
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0}), dashed("B", "text")])
