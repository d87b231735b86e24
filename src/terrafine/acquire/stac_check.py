"""Whether records that we write are valid STAC, by the schemas that pystac holds; nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from terrafine.errors import MissingExtraError, OutputError

__all__ = ["require_valid_stac"]


def require_valid_stac(collection: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> None:
    """Validate a collection and items against the core schemas of their STAC version.

    Parameters
    ----------
    collection, items
        The records. Schemas of extensions are on the network, so extension fields are not validated.

    Raises
    ------
    OutputError
        For a record that is not valid.
    MissingExtraError
        Where pystac is not installed.
    """
    try:
        from pystac import Collection, Item
        from pystac.errors import STACError, STACValidationError
    except ImportError as error:
        raise MissingExtraError("publishing needs an extra: pip install 'terrafine[campaign]'") from error
    records: list[tuple[Any, Mapping[str, Any]]] = [(Collection, collection), *((Item, item) for item in items)]
    for kind, record in records:
        links = [link for link in record["links"] if link["rel"] == "collection"]  # which an item must have
        core = {**record, "stac_extensions": [], "links": links}
        try:
            kind.from_dict(json.loads(json.dumps(core))).validate()
        except (STACError, STACValidationError, ValueError, KeyError) as error:
            raise OutputError(f"{record['id']}: is not valid STAC: {error}; please report this") from error
