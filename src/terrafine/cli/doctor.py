"""`terrafine doctor`: check the installation, and advise on what is broken."""

from __future__ import annotations

import click

from terrafine.cli.table import columns

__all__ = ["doctor"]


@click.command(short_help="Check the installation.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check packages, GDAL, engines, memory, disk and weights; the exit code is 1 if something is broken."""
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
