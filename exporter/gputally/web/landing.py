"""The page at `/`: what this is, whether it is well, and where the figures are. One file, nothing loaded."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Landing:
    """What the page says. Text, not HTML."""

    title: str  # the agent, as in "gputally node"
    version: str
    summary: str  # one line of live figures
    more: tuple[tuple[str, str], ...] = ()  # other paths, and what is there


_STYLE = """
:root{color-scheme:light dark;--paper:#f6f7f4;--card:#fff;--ink:#1c211d;--soft:#5d665f;--line:#dfe3dc;
--good:#3f7d20;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--paper:#121512;--card:#1a1f1b;--ink:#e6ebe4;--soft:#98a298;
--line:#2b322c;--good:#8fd16a;--bad:#f2837b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:34rem;padding:2rem;background:var(--card);border:1px solid var(--line);
border-radius:.75rem}
h1{margin:0;font-size:1.5rem;letter-spacing:-.01em}
h1 small{font-size:.875rem;font-weight:400;color:var(--soft);letter-spacing:0}
p{margin:.75rem 0 1.5rem;font-variant-numeric:tabular-nums}
p::before{content:"";display:inline-block;width:.6rem;height:.6rem;margin-right:.5rem;border-radius:50%;
background:var(--good)}
p.bad::before{background:var(--bad)}
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}
li{border-bottom:1px solid var(--line)}
a{display:flex;flex-wrap:wrap;gap:0 1rem;justify-content:space-between;padding:.75rem .25rem;color:inherit;
text-decoration:none}
a:hover,a:focus-visible{background:var(--paper)}
a:focus-visible{outline:2px solid var(--good)}
code{font:600 .9375rem ui-monospace,monospace}
span{color:var(--soft);font-size:.875rem}
"""

# The style is known by its hash, so the page may forbid everything else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def render(landing: Landing, telemetry_path: str, ready: tuple[bool, str]) -> bytes:
    """Write the page. When the agent is not ready, the reason stands where the figures would."""
    is_ready, reason = ready
    line = landing.summary if is_ready else f"Not ready: {reason}"
    rows = "".join(
        f'<li><a href="{escape(path)}"><code>{escape(path)}</code> <span>{escape(text)}</span></a></li>\n'
        for path, text in (
            (telemetry_path, "what Prometheus reads"),
            *landing.more,
            ("/-/ready", "is there a sample to read?"),
            ("/-/healthy", "does the process live?"),
        )
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(landing.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(landing.title)} <small>{escape(landing.version)}</small></h1>
<p{"" if is_ready else ' class="bad"'}>{escape(line)}</p>
<ul>
{rows}</ul>
</main>
</body>
</html>
""".encode()
