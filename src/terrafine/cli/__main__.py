"""`python -m terrafine.cli` is `terrafine`."""

from terrafine.cli import main

main(prog_name="terrafine")
