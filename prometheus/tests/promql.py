"""Reads PromQL for the tests: which series an expression selects and which functions it calls.

Grafana's variables are replaced first, so that the queries of dashboards parse as Prometheus would see them.
"""

from collections.abc import Iterator

import promql_parser

# What Grafana puts in, as a 15 s data source gives it, everything else as any text; longer names come first.
_DURATIONS = {
    "$__rate_interval": "1m",
    "$__interval_ms": "30000",
    "$__interval": "30s",
    "$__range_s": "21600",
    "$__range": "6h",
}


def parse(expression: str) -> promql_parser.Expr:
    """Parse an expression. Raises ValueError with the parser's message."""
    for variable, duration in _DURATIONS.items():
        expression = expression.replace(variable, duration)
    return promql_parser.parse(expression)


def nodes(expression: str) -> Iterator[promql_parser.Expr]:
    """Every node of the expression's tree."""
    waiting = [parse(expression)]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("expr", "lhs", "rhs", "param", "vector_selector", "args"):
            child = getattr(node, name, None)
            children = child if isinstance(child, list) else [child]
            waiting.extend(part for part in children if isinstance(part, promql_parser.Expr))


def leftmost(node: promql_parser.Expr) -> promql_parser.AggregateExpr | promql_parser.VectorSelector:
    """The aggregation or selector whose labels a result has: left of every operator, inside of topk."""
    while True:
        if isinstance(node, promql_parser.BinaryExpr):
            node = node.rhs if isinstance(node.lhs, promql_parser.NumberLiteral) else node.lhs
        elif isinstance(node, promql_parser.Call):
            node = node.args[0]
        elif isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        elif isinstance(node, promql_parser.ParenExpr) or node.prettify().startswith("topk"):
            node = node.expr
        else:
            return node


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """The selectors of the expression, those inside ranges and sub-queries too."""
    return [node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector)]


def metrics(expression: str) -> set[str]:
    """Names of the metrics that the expression reads."""
    return {selector.name for selector in selectors(expression) if selector.name}


def matchers(selector: promql_parser.VectorSelector) -> dict[str, str]:
    """Label -> operator and value of a selector, as `=~"$job"`."""
    operators = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return {
        matcher.name: f'{operators[str(matcher.op).split(".")[-1]]}"{matcher.value}"'
        for matcher in selector.matchers.matchers
    }


def bare_counters(expression: str) -> set[str]:
    """Counters that are read without rate, increase or another function that knows about resets."""
    guarded = {"rate", "irate", "increase", "resets", "absent", "max_over_time", "last_over_time"}
    inside = {
        name
        for node in nodes(expression)
        if isinstance(node, promql_parser.Call) and node.func.name in guarded
        for name in metrics(node.prettify())
    }
    return {name for name in metrics(expression) if name.endswith("_total")} - inside
