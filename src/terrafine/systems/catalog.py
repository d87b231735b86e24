"""Discovery of systems and models: each system is one folder, each model a weights file or a variant."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.errors import MissingExtraError, NoModelError, UsageError, WeightsError
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System
from terrafine.nn.weights import digest, read_spec
from terrafine.schema.check import filled

if TYPE_CHECKING:
    from terrafine.raster.products.model import SensorModel

__all__ = [
    "ModelRef",
    "find_model",
    "find_system",
    "find_weights",
    "list_models",
    "named_models",
    "recipe_folders",
    "require_engine",
    "system_names",
]

_HERE = Path(__file__).parent
_MODES = ("hard", "soft", "product", "none")
_ENGINES = ("torch", "onnx", "openvino")
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Reference to a model and its options: small, picklable, and enough to open it on any worker.

    Attributes
    ----------
    name
        Name of the model.
    spec
        Spec of the model.
    path
        Weights file; None for a model without weights.
    sha256
        SHA-256 of the weights file, hexadecimal; empty without one.
    options
        Options of the run.
    """

    name: str
    spec: ModelSpec
    path: Path | None
    sha256: str
    options: Options = field(default_factory=Options)


def system_names() -> list[str]:
    """Return the sorted names of the folders that hold a system."""
    return sorted(_folders())


def _folders() -> dict[str, Path]:
    """Name -> folder of every system on the package's path."""
    package = importlib.import_module("terrafine.systems")  # its path may be extended after this module is loaded
    return {p.parent.name: p.parent for root in reversed(package.__path__) for p in Path(root).glob("*/__init__.py")}


def recipe_folders() -> list[Path]:
    """Return the folders with the systems' recipes, in the order of the systems' names."""
    return [folder / "recipes" for _, folder in sorted(_folders().items())]


@cache
def find_system(name: str) -> System:
    """Import the system of a folder.

    Parameters
    ----------
    name
        Name of the folder.

    Returns
    -------
    System
        The system.

    Raises
    ------
    NoModelError
        Where there is no such system; the message lists the known names.
    """
    if name not in system_names():
        raise NoModelError(f"no system is called {name!r}; known are {', '.join(system_names())}")
    system: System = importlib.import_module(f"terrafine.systems.{name}").SYSTEM
    return system


def list_models() -> list[ModelRef]:
    """List every shipped model: those with weights, then those that need none."""
    return [_reference(p, Options()) for p in _shipped()] + list(_weightless(Options()))


def find_model(
    name_or_path: str | os.PathLike[str],
    scale: int,
    *,
    consistency: str | None = None,
    tolerance_m: float = 1.0,
    self_ensemble: bool = False,
    uncertainty: bool = False,
    engine: str = "torch",
    threads: int | None = None,
    device: str = "cpu",
    precision: str = "float32",
    verb: str = "dem",
    outputs: tuple[str, ...] = (),
    sensor: SensorModel | None = None,
) -> ModelRef:
    """Find a model by name and scale for a verb, shipped or in a file.

    Parameters
    ----------
    name_or_path
        Name of a shipped model, or path of a weights file.
    scale
        Output cells along one side of an input cell.
    consistency
        As in `terrafine.nn.system.Options`; by default `product` for a model that uses the sensor model of a product
        with noise, else `hard`.
    tolerance_m, self_ensemble, uncertainty, engine, threads, device, precision
        As in `terrafine.nn.system.Options`.
    verb
        Verb of the command line that runs the model: `dem`, `height` or `map`.
    outputs
        Bands that the spec of the result lists; those of the weights where empty.
    sensor
        Sensor model of the input's product; only for models that use it.

    Returns
    -------
    ModelRef
        The model, with its spec at that scale.

    Raises
    ------
    NoModelError
        Where there is no such model, scale, verb or uncertainty.
    WeightsError
        For a file that is damaged or of an unknown system.
    MissingExtraError
        Where a package of the engine is not installed.
    UsageError
        For options that are out of range.
    """
    if consistency not in (None, *_MODES):
        raise UsageError(f"consistency {consistency!r}: expected one of {_MODES}")
    if engine not in _ENGINES:
        raise UsageError(f"engine {engine!r}: expected one of {_ENGINES}")
    if scale < 2 and verb == "dem":
        raise UsageError(f"scale {scale}: expected 2, 3 or 4, the output cells along one side of an input cell")
    if engine != "torch" and (device != "cpu" or precision != "float32"):
        raise UsageError(f"engine {engine!r} runs on the CPU in float32; found device {device!r}, {precision}")
    if not tolerance_m >= 0:
        raise UsageError(f"tolerance {tolerance_m} m: expected 0 or more")
    options = Options(
        consistency or "hard", tolerance_m, self_ensemble, uncertainty, engine, threads, device, precision, outputs
    )
    ref = _named(os.fspath(name_or_path), scale, options)
    if ref.path is not None:
        require_engine(engine)
    if find_system(ref.spec.system).uses_product:
        noisy = sensor is not None and not sensor.exact
        held = consistency or "product"
        held = "hard" if held == "product" and not noisy else held
        spec = replace(ref.spec, calibration=ref.spec.calibration_for(noisy=noisy))
        ref = replace(ref, spec=spec, options=replace(options, sensor=sensor, consistency=held))
    elif consistency == "product":
        raise UsageError(f"consistency 'product' is for ridgeline2; for {ref.name} expected hard, soft or none")
    if scale in ref.spec.scales:
        ref = replace(ref, spec=_at_scale(ref.spec, scale))
    if ref.spec.scale != scale:
        raise NoModelError(f"{name_or_path}: these weights serve ×{ref.spec.scale}, not ×{scale}")
    if find_system(ref.spec.system).verb != verb:
        suited = sorted({m.name for m in list_models() if find_system(m.spec.system).verb == verb})
        raise NoModelError(
            f"{ref.name} is a model of `terrafine {find_system(ref.spec.system).verb}`; expected {', '.join(suited)}, "
            "or weights of one of their systems"
        )
    if uncertainty and not any(o.endswith("_sigma") for o in ref.spec.outputs):
        raise NoModelError(f"{ref.name} gives no uncertainty; `terrafine models` shows which do, e.g. ridgeline")
    given = outputs or tuple(o for o in ref.spec.outputs if uncertainty or not o.endswith("_sigma"))
    return replace(ref, spec=replace(ref.spec, outputs=given))


def require_engine(engine: str) -> None:
    """Check that the packages of an engine are installed, without importing them.

    Parameters
    ----------
    engine
        `torch`, `onnx` or `openvino`.

    Raises
    ------
    MissingExtraError
        Where a package is not installed.
    """
    missing = [name for name in _PACKAGES.get(engine, ()) if not _is_installed(name)]
    if missing:
        extras = "onnx" if engine == "onnx" else "onnx,openvino"
        raise MissingExtraError(
            f"the engine {engine} needs {', '.join(missing)}, not installed: pip install 'terrafine[{extras}]', or "
            'choose engine="torch"'
        )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def named_models(name: str) -> list[ModelRef]:
    """Find every model of a name, of a name with its scale (`ridgeline-x4`), or in a weights file.

    Parameters
    ----------
    name
        Name, name with scale, or path of a weights file.

    Returns
    -------
    list[ModelRef]
        Models, at least one.

    Raises
    ------
    NoModelError
        Where there is none.
    WeightsError
        For a file that is not a weights file.
    """
    if Path(name).suffix or os.sep in name:
        return [_reference(Path(name), Options())]
    models = list_models()
    found = [ref for ref in models if name in (ref.name, None if ref.path is None else ref.path.stem)]
    found = found or [ref for ref in models if name in {f"{ref.name}-x{k}" for k in (ref.spec.scale, *ref.spec.scales)}]
    if not found:
        raise NoModelError(f"no model is called {name!r}; known are {', '.join(sorted({r.name for r in models}))}")
    return found


def find_weights(name: str) -> Path:
    """Find shipped weights by their name `NAME-xK`.

    Parameters
    ----------
    name
        Name of the weights, or path of a file.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    NoModelError
        Where there are no such weights.
    """
    for path in _shipped():
        if path.stem == name:
            return path
    if Path(name).is_file():
        return Path(name)
    raise NoModelError(f"no weights are called {name!r}; shipped are {', '.join(p.stem for p in _shipped())}")


def _named(name: str, scale: int, options: Options) -> ModelRef:
    if Path(name).suffix or os.sep in name:
        return _reference(Path(name), options)
    served: set[int] = set()
    for path in _shipped():
        spec = read_spec(path)
        if spec.name == name:
            served |= {spec.scale, *spec.scales}
            if scale in (spec.scale, *spec.scales):
                return _reference(path, options)
    for ref in _weightless(options):
        if ref.name == name:
            served.add(ref.spec.scale)
            if ref.spec.scale == scale:
                return ref
    if served:
        raise NoModelError(f"{name} serves {', '.join(f'×{s}' for s in sorted(served))}, not ×{scale}")
    known = sorted({r.name for r in list_models()})
    raise NoModelError(f"no model is called {name!r}; known are {', '.join(known)}, or name a .safetensors file")


def _at_scale(spec: ModelSpec, scale: int) -> ModelSpec:
    """The spec of weights that serve several scales, at one of them: halo and tile follow."""
    try:
        fresh = find_system(spec.system).describe(None, spec.network, scale)
    except TypeError as e:
        raise WeightsError(
            f"{spec.name}: its spec lists scales {list(spec.scales)}, and weights of {spec.system} serve one"
        ) from e
    return replace(spec, scale=scale, halo=fresh.halo, tile=fresh.tile, multiple=fresh.multiple)


def _reference(path: Path, options: Options) -> ModelRef:
    spec = read_spec(path)
    if spec.system not in system_names():
        raise WeightsError(f"{path}: made for system {spec.system!r}; this Terrafine has {', '.join(system_names())}")
    system = find_system(spec.system)
    if system.build is None:
        raise WeightsError(f"{path}: system {spec.system!r} has no weights; expected a model with a network")
    if system.network is not None:
        filled(system.network, spec.network, f"{path}: [network]", WeightsError)
    return ModelRef(spec.name, spec, path, digest(path), options)


@cache
def _shipped() -> tuple[Path, ...]:
    return tuple(sorted(_HERE.glob("*/weights/*.safetensors")))


def _weightless(options: Options) -> Iterator[ModelRef]:
    for name in system_names():
        system = find_system(name)
        if system.build is None:
            for variant in system.variants:
                for scale in system.scales:
                    network: dict[str, Any] = {"method": variant}
                    yield ModelRef(variant, system.describe(None, network, scale), None, "", options)
