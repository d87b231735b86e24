"""Discovery, loading and running of the systems; each system is one folder.

A new system is a new folder and nothing else. A folder exports `SYSTEM`, a `terrafine.nn.system.System`. Its weights
are `weights/NAME-xK.safetensors`, its recipes are in `recipes/`. The modules `catalog` and `load` serve all systems.
"""

from __future__ import annotations

from terrafine.systems.catalog import (
    ModelRef,
    find_model,
    find_system,
    find_weights,
    list_models,
    named_models,
    recipe_folders,
    require_engine,
    system_names,
)
from terrafine.systems.load import export_onnx, load_model, load_network

__all__ = [
    "ModelRef",
    "export_onnx",
    "find_model",
    "find_system",
    "find_weights",
    "list_models",
    "load_model",
    "load_network",
    "named_models",
    "recipe_folders",
    "require_engine",
    "system_names",
]
