"""Every parser of our own, by the name under which it is fuzzed."""

from tests.fuzz import clients, configuration, ledger, machine, market, readings

TARGETS = {
    target.name: target
    for part in (readings, clients, configuration, market, ledger, machine)
    for target in part.TARGETS
}
