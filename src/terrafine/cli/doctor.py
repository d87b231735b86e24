"""`terrafine doctor`: check the installation, and advise on what is broken."""

from __future__ import annotations

from dataclasses import asdict

import click

from terrafine.cli.messages import json_option, note, print_json, say
from terrafine.cli.table import columns

__all__ = ["doctor"]


@click.command(short_help="Check the installation.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check packages, GDAL, engines, memory, disk and weights; the exit code is 1 if something is broken."""
    from terrafine.cli.checks import run_checks

    checks = list(run_checks())
    broken = [c.name for c in checks if c.state == "broken"]
    if as_json:
        print_json({"broken": broken, "checks": [asdict(c) for c in checks]})
        ctx.exit(1 if broken else 0)
    say(columns(("what", "state", "found"), [(c.name, c.state, c.found) for c in checks]))
    for check in checks:
        if check.advice:
            say(f"{check.name}: {check.advice}")
    if broken:
        note(f"error: broken: {', '.join(broken)}")
        ctx.exit(1)
    say("nothing is broken")
