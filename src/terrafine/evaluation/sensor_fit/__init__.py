"""The sensor model of a DEM fitted on a pair: a coarse DEM and a finer reference of the same ground."""

from terrafine.evaluation.sensor_fit.sensor import FittedSensor, fit_pair

__all__ = ["FittedSensor", "fit_pair"]
