"""Families of budgets: what teams may spend in a period, until when, and what declared things have cost in it.

All of them are the site agent's, and there only while budgets are configured. Money is in the budget's currency.
"""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_g = partial(Family, type="gauge", section="Budgets", record="budgets", key="families")

BUDGETS: tuple[Family, ...] = (
    _g("site_budget_info", unit="", labels=("team", "period", "name", "currency"), help="Always 1; the period of a team's budget that today is in, and its currency.", source="budgets, the site's calendar"),
    _g("site_budget_credit", unit="", labels=("team", "currency", "part"), help="What a team may spend in the period: amount, carried, deposits and corrections as far as their days have come.", source="budgets"),
    _g("site_budget_period_start_timestamp_seconds", unit="seconds", labels=("team",), help="When the period began, as Unix time: midnight at the site.", source="budgets.*.period, the site's calendar"),
    _g("site_budget_period_end_timestamp_seconds", unit="seconds", labels=("team",), help="When it ends.", source="budgets.*.period, the site's calendar"),
    _g("site_budget_threshold_ratio", unit="ratio", labels=("team", "threshold"), help="Part of the credit at which an alert says that it is spent; the label says the same in percent.", source="budgets.*.thresholds"),
    _g("site_budget_includes", unit="", labels=("team", "part"), help="Always 1; what the budget pays for and is counted by rules: energy, capital.", source="budgets.*.include, chargeback.capital"),
    _g("site_budget_rate", unit="", labels=("team", "currency"), help="Units of the budget's currency for one of this one: 1 of its own, others by declared rates.", source="market.rates"),
    _g("site_budget_declared_cost", unit="", labels=("team", "currency", "part"), help="What the period has cost so far by declaration and import: rental, reservations, bills. In the budget's currency.", source="rentals, reservations, the ledger"),
    _g("site_budget_left_out_cost", unit="", labels=("team", "currency", "part"), help="The same in a currency for which no rate is declared: in no sum.", source="rentals, reservations, the ledger"),
    _g("site_budget_carry_over_missing", unit="", labels=("team",), help="1 if something is carried over and nobody has declared how much for this period. Absent where nothing is.", source="budgets.*.carried"),
    _g("site_budget_source_up", unit="", labels=("source",), help="0 if a source of cost could not be read the last time; its figures are those of the time before.", source="the ledger"),
)
