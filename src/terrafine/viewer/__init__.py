"""A local map of rasters in the browser: layers, tiles, and the server that answers on this computer alone."""
