"""One machine's page as another machine would show it: GPUs, jobs and people get names of their own."""

import re

SHARE_USERS = 5  # so many machines have the same people
_NAMED = re.compile(r'(?<=[{,])((?:uuid|job_id|user)="[^"]+")')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
Labels = tuple[tuple[str, str], ...]


def host(node: int) -> str:
    """What a machine is called."""
    return f"node-{node}"


def instance(node: int) -> str:
    """What Prometheus calls its agent."""
    return f"{host(node)}:9836"


def renamed(label: str, value: str, node: int) -> str:
    """A label's value on this machine; most are the same on all of them, among them teams and models."""
    if label == "instance":
        return instance(node)
    if label == "uuid" and value:
        return f"{value[:-4]}{node:04x}"
    if label == "job_id" and value:
        return f"{value}{node:04}"
    if label == "user" and value not in {"", "other", "unknown"}:
        return f"{value}{node // SHARE_USERS}"
    return value


class Template:
    """A page, cut once where names stand in it, so that the page of a machine is only joined."""

    def __init__(self, page: str) -> None:
        self._parts = _NAMED.split(page)
        self._names = set(self._parts[1::2])

    def page(self, node: int) -> str:
        """As this machine shows it."""
        new = {}
        for name in self._names:
            label, _, value = name.partition("=")
            new[name] = f'{label}="{renamed(label, value[1:-1], node)}"'
        parts = self._parts.copy()
        parts[1::2] = [new[name] for name in self._parts[1::2]]
        return "".join(parts)


def labels(head: str) -> dict[str, str]:
    """All that stands before the value of a sample, its name as `__name__`; an empty label is none."""
    name, _, rest = head.partition("{")
    return {"__name__": name} | {
        label: _ESCAPED.sub(lambda found: {"n": "\n"}.get(found[1], found[1]), value)
        for label, value in _LABEL.findall(rest)
        if value
    }


def on(node: int, named: dict[str, str]) -> Labels:
    """The labels of a series on this machine, in the order of an index."""
    return tuple(sorted((label, renamed(label, value, node)) for label, value in named.items()))
