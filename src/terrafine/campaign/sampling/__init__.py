"""The reference sample of a campaign: its design, the form to answer it, and what the answers come to.

design.py     strata, allocation and a probability sample of cells
form.py       GeoPackage with a form for QGIS, and its answers
adjusted.py   error-adjusted areas and growth with intervals
"""
