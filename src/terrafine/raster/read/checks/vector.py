"""Vet a vector file before GDAL opens it: a format that holds its shapes itself, by its name and its first bytes alike.

GDAL would open a description of a remote service, or of another file, just as well.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from terrafine.errors import SourceError
from terrafine.raster.read.checks.access import require_plain, require_plain_beside

__all__ = ["check_vector"]

_MAGIC = {".gpkg": b"SQLite format 3\0", ".fgb": b"fgb\x03fgb", ".shp": b"\0\0\x27\x0a", ".parquet": b"PAR1"}
_NAMES = "GeoJSON, GeoPackage (.gpkg), FlatGeobuf (.fgb), Shapefile (.shp) or GeoParquet (.parquet)"
_CONTENTS = """
select c.table_name from gpkg_contents c left join sqlite_master m on lower(m.name) = lower(c.table_name)
where m.type is not 'table' or upper(m.sql) like '%VIRTUAL%'
"""


def check_vector(path: str) -> None:
    """Check that a vector file other than GeoJSON is a plain file of a known format, and names nothing else.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    SourceError
        If not. A GeoPackage whose layers are views is refused too: a view runs functions, which can read and fetch.
    """
    file = Path(path)
    require_plain(file, path)
    require_plain_beside(file)
    magic = _MAGIC.get(file.suffix.lower())
    if not file.is_file() or magic is None:
        raise SourceError(f"{path}: is no vector file of a known kind; expected {_NAMES}")
    with open(file, "rb") as opened:
        if not opened.read(len(magic)).startswith(magic):
            raise SourceError(f"{path}: is not what its name says; expected {_NAMES}, named as such")
    if file.suffix.lower() == ".gpkg":
        _check_layers(file)


def _check_layers(path: Path) -> None:
    """Every layer of a GeoPackage is a table of its own; raises SourceError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            base.execute("pragma trusted_schema = off")
            strange = base.execute(_CONTENTS).fetchone()
    except sqlite3.Error as error:
        raise SourceError(f"{path}: not a readable GeoPackage ({error}); write it again with ogr2ogr") from None
    if strange is not None:
        raise SourceError(
            f"{path}: its layer {strange[0]!r} is no table, but a view or a description of one; write the layer as a "
            "table with ogr2ogr OUT.gpkg IN"
        )
