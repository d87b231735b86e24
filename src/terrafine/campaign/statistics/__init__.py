"""Statistics of a campaign of class maps: areas, change and growth, with and without a reference sample.

sequences.py   classes of a cell over the epochs: codes, the temporal rule, areas and change of them
tiles.py       true area of each sequence in each zone, tile by tile
tables.py      tables of areas, change and growth, as CSV, JSON and GeoParquet
pictures.py    growth curves and the map of change
adjusted.py    error-adjusted areas from the responses of a reference sample
"""
