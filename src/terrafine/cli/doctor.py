"""`terrafine doctor`: is this installation whole, and what to do if not."""

from __future__ import annotations

import click

from terrafine.cli.table import columns

__all__ = ["doctor"]


@click.command(short_help="Look for what is broken or missing.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look for what is broken or missing; exit code 1 if something is broken."""
    from terrafine.cli.checks import run_checks

    checks = list(run_checks())
    click.echo(columns(("what", "state", "found"), [(c.name, c.state, c.found) for c in checks]))
    for check in checks:
        if check.advice:
            click.echo(f"{check.name}: {check.advice}")
    broken = [c.name for c in checks if c.state == "broken"]
    if broken:
        click.echo(f"error: broken: {', '.join(broken)}", err=True)
        ctx.exit(1)
    click.echo("nothing is broken")
