"""A region and years as tiles: plan, run, status, retry, publish and statistics.

settings.py   the settings file, TOML, checked before anything else
plan.py       region × epochs -> units, each with a key of all that determines it
folder.py     the folder of a campaign: plan, finished units, failures, lock
inputs.py     the input of one unit: scenes of files, or of a STAC API
unit.py       one unit: input, composite, model, crop, publish
execute.py    all units: here, or as futures of a Dask cluster
product.py    what is handed over: STAC, mosaics, style
statistics/   areas, change, growth, error-adjusted areas and their sample
"""
