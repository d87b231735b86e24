"""`import terrafine` is light, and every public name leads to something."""

import importlib
import importlib.metadata
import json
import pkgutil
import subprocess
import sys

import pytest

import terrafine

HEAVY = ("torch", "rasterio", "odc", "scipy", "numba", "xarray", "distributed", "openvino", "onnxruntime", "matplotlib")

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(terrafine.__path__, "terrafine.") if not m.name.endswith("__main__")
)


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_terrafine_loads_nothing_heavy() -> None:
    assert not loaded_by("import terrafine").intersection(HEAVY)


def test_the_check_sees_a_heavy_import() -> None:
    assert "scipy" in loaded_by("import scipy").intersection(HEAVY)


def test_every_public_name_of_the_package_resolves() -> None:
    for name in terrafine.__all__:
        assert getattr(terrafine, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert dir(terrafine) == sorted(terrafine.__all__)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sharpen_dog'"):
        terrafine.sharpen_dog  # noqa: B018


@pytest.mark.parametrize("module", MODULES)
def test_dunder_all_names_only_what_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing


def test_the_version_is_the_one_in_the_metadata() -> None:
    assert terrafine.__version__ == importlib.metadata.version("terrafine")
