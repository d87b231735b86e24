"""Free satellite data of a place, from STAC catalogues: the only part that opens network connections."""
