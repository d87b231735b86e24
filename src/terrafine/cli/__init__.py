"""The command line: one file for each verb; every error becomes an exit code here.

A verb parses its arguments, calls one function of the library and prints. Verbs import the library only when they run,
so `terrafine --help` loads neither torch nor rasterio.
"""

from __future__ import annotations

import re
import sys
import traceback
from typing import Any

import click

from terrafine.cli.advice import as_options
from terrafine.cli.campaign import campaign
from terrafine.cli.change import change
from terrafine.cli.dataset import dataset
from terrafine.cli.dem import dem
from terrafine.cli.doctor import doctor
from terrafine.cli.evaluate import evaluate
from terrafine.cli.export import export
from terrafine.cli.fetch import fetch
from terrafine.cli.front import EXIT_CODES, INTERRUPTED, UNEXPECTED, first_steps
from terrafine.cli.geocode import geocode
from terrafine.cli.height import height
from terrafine.cli.image import image
from terrafine.cli.info import info
from terrafine.cli.log import add_log_options, log_error
from terrafine.cli.map import map_
from terrafine.cli.measure import measure
from terrafine.cli.messages import json_error
from terrafine.cli.models import models
from terrafine.cli.radar import radar
from terrafine.cli.train import train
from terrafine.cli.view import view
from terrafine.errors import TerrafineError
from terrafine.host import go_offline, of_system
from terrafine.version import __version__

__all__ = ["main"]

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # a file's name may hold anything
_WORDS = "terrafine.words"
_RESUME = {
    "height": ": run the same command again and it resumes where it stopped",
    "dem": ": run the same command again and it resumes where it stopped",
    "map": ": run the same command again and it resumes where it stopped",
    "image": ": run the same command again and it resumes where it stopped",
    "fetch": ": run the same command again and it resumes where it stopped",
    "train": ": run the same command again and it resumes from its last checkpoint",
    "campaign": ": run the same command again and it resumes with the tiles that are not done",
}


class _Verbs(click.Group):
    """The group of all verbs, and the one place where an exception becomes a message and an exit code."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        add_log_options(cmd)
        super().add_command(cmd, name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.ClickException as e:
            log_error(e.format_message())
            json_error(ctx, ctx.meta.get(_WORDS, ()), "UsageError", e.format_message(), e.exit_code)
            raise
        except (click.exceptions.Exit, click.exceptions.Abort):
            raise
        except KeyboardInterrupt:
            advice = "interrupted" + _RESUME.get(ctx.invoked_subcommand or "", "")
            click.echo(f"\n{advice}", err=True)
            log_error(advice)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except TerrafineError as e:
            _tell(ctx, as_options(str(e), _command(ctx, self)), type(e).__name__, e.exit_code)
            raise click.exceptions.Exit(e.exit_code) from None
        except BrokenPipeError:
            raise
        except (OSError, MemoryError) as e:
            ours = of_system(e)
            _tell(ctx, str(ours), type(ours).__name__, ours.exit_code)
            raise click.exceptions.Exit(ours.exit_code) from None
        except Exception as e:
            said = f"unexpected {type(e).__name__}: {e}\n{_how_to_report(ctx)}"
            _tell(ctx, said, type(e).__name__, UNEXPECTED)
            raise click.exceptions.Exit(UNEXPECTED) from None


def _command(ctx: click.Context, group: click.Command) -> click.Command:
    """The command that was run, inside its group."""
    for word in ctx.meta.get(_WORDS, []):
        group = getattr(group, "commands", {}).get(word, group)
    return group


def _tell(ctx: click.Context, found: str, kind: str, code: int) -> None:
    message = f"error: {found}"
    json_error(ctx, ctx.meta.get(_WORDS, ()), kind, found, code)
    if ctx.params.get("debug"):
        traceback.print_exc(file=sys.stderr)
    log_error(message)
    click.echo(_STEERING.sub("?", message), err=True)


def _how_to_report(ctx: click.Context) -> str:
    if ctx.params.get("debug"):
        return "this is a defect of Terrafine: please report it with the traceback above and `terrafine doctor`"
    return f"this is a defect of Terrafine: `terrafine --debug {ctx.invoked_subcommand or ''} ...` shows where"


@click.group(
    "terrafine",
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="terrafine")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Turn free, coarse satellite data into finer maps of the Earth.

    `terrafine COMMAND --help` explains a command; `terrafine doctor` checks the installation. Every command names its
    output last, or with -o.
    """
    go_offline()
    if ctx.invoked_subcommand is None:
        click.echo(first_steps())


for _verb in (
    *(dem, height, map_, image, radar, models, info, doctor, train, evaluate, measure, fetch, dataset, export, view),
    campaign,
    change,
    geocode,
):
    main.add_command(_verb)
