"""`terrafine view`: rasters as a map in the browser."""

from __future__ import annotations

import click

__all__ = ["view"]


@click.command(short_help="Show rasters as a map in the browser, without network.")
@click.argument("paths", nargs=-1, required=True, metavar="RASTER|FOLDER...")
@click.option("--port", type=int, default=0, metavar="N", help="Port to listen on.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address, open no browser.")
@click.option(
    "--allow-folder", "allow_folders", multiple=True, metavar="DIR", help="Folder in which sources of a VRT may lie."
)
def view(paths: tuple[str, ...], port: int, no_browser: bool, allow_folders: tuple[str, ...]) -> None:
    """Show rasters side by side: heights as relief and in 3D, classes, images, and values under the pointer.

    A folder stands for the VRTs in it, or else for its GeoTIFFs. The server answers to this computer alone and reads
    nothing but these files; Ctrl-C ends it. On another machine, use --no-browser and an SSH tunnel to --port.
    """
    import webbrowser

    from terrafine.workflows.view import view as serve

    with serve(*paths, port=port, allow_folders=allow_folders) as viewer:
        click.echo(f"{viewer.url}  (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(viewer.url)
        viewer.wait()
