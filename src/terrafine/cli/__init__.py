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
from terrafine.cli.dataset import dataset
from terrafine.cli.dem import dem
from terrafine.cli.doctor import doctor
from terrafine.cli.evaluate import evaluate
from terrafine.cli.export import export
from terrafine.cli.fetch import fetch
from terrafine.cli.height import height
from terrafine.cli.image import image
from terrafine.cli.info import info
from terrafine.cli.map import map_
from terrafine.cli.measure import measure
from terrafine.cli.models import models
from terrafine.cli.radar import radar
from terrafine.cli.train import train
from terrafine.cli.view import view
from terrafine.errors import TerrafineError
from terrafine.host import go_offline, of_system
from terrafine.version import __version__

__all__ = ["main"]

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # a file's name may hold anything
INTERRUPTED = 130
UNEXPECTED = 1
_RESUME = {
    "height": ": run the same command again and it resumes where it stopped",
    "dem": ": run the same command again and it resumes where it stopped",
    "map": ": run the same command again and it resumes where it stopped",
    "image": ": run the same command again and it resumes where it stopped",
    "fetch": ": run the same command again and it resumes where it stopped",
    "train": ": run the same command again and it resumes from its last checkpoint",
}


class _Verbs(click.Group):
    """The group of all verbs, and the one place where an exception becomes a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.ClickException:
            raise
        except (click.exceptions.Exit, click.exceptions.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("\ninterrupted" + _RESUME.get(ctx.invoked_subcommand or "", ""), err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except TerrafineError as e:
            _tell(ctx, f"error: {as_options(str(e), self.commands[ctx.invoked_subcommand or ''])}")
            raise click.exceptions.Exit(e.exit_code) from None
        except BrokenPipeError:
            raise
        except (OSError, MemoryError) as e:
            ours = of_system(e)
            _tell(ctx, f"error: {ours}")
            raise click.exceptions.Exit(ours.exit_code) from None
        except Exception as e:
            _tell(ctx, f"error: unexpected {type(e).__name__}: {e}\n{_how_to_report(ctx)}")
            raise click.exceptions.Exit(UNEXPECTED) from None


def _tell(ctx: click.Context, message: str) -> None:
    if ctx.params.get("debug"):
        traceback.print_exc(file=sys.stderr)
    click.echo(_STEERING.sub("?", message), err=True)


def _how_to_report(ctx: click.Context) -> str:
    if ctx.params.get("debug"):
        return "this is a defect of Terrafine: please report it with the traceback above and `terrafine doctor`"
    return f"this is a defect of Terrafine: `terrafine --debug {ctx.invoked_subcommand or ''} ...` shows where"


@click.group(
    "terrafine", cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="terrafine")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Turn free, coarse satellite data into finer maps of the Earth.

    `terrafine COMMAND --help` explains a command; `terrafine doctor` checks the installation.

    Exit codes: 0 done, 1 defect, 2 usage, 3-7 input (file, band, grid, datum, empty), 8-9 weights, 10-11 memory and
    disk, 12 output, 13 job folder, 14-15 recipe and training data, 16 missing extra, 17 gate not passed,
    18 network, 130 interrupted.
    """
    go_offline()


for _verb in (
    *(dem, height, map_, image, radar, models, info, doctor, train, evaluate, measure, fetch, dataset, export, view),
):
    main.add_command(_verb)
