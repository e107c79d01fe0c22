"""What GPUs a machine has, by the name that a bill has for it: machines.yml and the site's own additions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gputally.config import strict
from gputally.config.bills import Instance

PATH = Path(__file__).with_name("machines.yml")
LONGEST = 128


@dataclass(frozen=True, slots=True)
class Machines:
    """The table. Names are in small letters."""

    providers: Mapping[str, str]  # as a bill writes it -> as prices have it
    instances: Mapping[str, Instance]
    like: re.Pattern[str]

    def provider(self, name: str) -> str:
        """What a provider is called here."""
        small = " ".join(name.lower().split())
        return self.providers.get(small, small)

    def named(self, text: str) -> str | None:
        """The first word of a description that is the name of a machine with GPUs."""
        words = _words(text)
        known = next((word for word in words if word in self.instances), None)
        return known or next((word for word in words if self.sounds_like(word)), None)

    def sounds_like(self, name: str) -> bool:
        """Whether a name looks like one of a machine with GPUs."""
        return len(name) <= LONGEST and self.like.fullmatch(name) is not None


def _words(text: str) -> list[str]:
    return [word.strip("().,:;") for word in text[:1000].lower().replace(":", " ").split()]


@cache
def _built() -> Machines:
    root = strict.load(PATH)
    providers = {name: value.string() for name, value in root.mapping("providers").items()}
    like = "|".join(f"(?:{value.string()})" for value in root.list("like"))
    instances: dict[str, Instance] = {}
    for card, value in root.mapping("machines").items():
        for name, count in value.mapping().items():
            if name in instances:
                raise count.error(f"{name} is there twice")
            instances[name] = Instance(card, count.integer(1, 64))
    root.finish()
    return Machines(providers, instances, re.compile(like, re.ASCII))


def load(own: Mapping[str, Instance] | None = None) -> Machines:
    """The table that comes with the program, and machines of one's own, which come first."""
    built = _built()
    return replace(built, instances={**built.instances, **(own or {})})
