"""`build_dataset`: build training samples from images and labels; `terrafine dataset impervious` calls it."""

from terrafine.datasets.impervious.build import build_dataset as build
from terrafine.datasets.impervious.options import DatasetFields, DatasetOptions
from terrafine.physics.sensor_model import Sensor
from terrafine.workflows.advice import names_own_arguments

__all__ = ["DatasetOptions", "Sensor", "build_dataset"]

build_dataset = names_own_arguments(DatasetFields)(build)
