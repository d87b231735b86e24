"""The systems: one folder each, found by looking; a new system is a new folder and nothing else.

A folder exports `SYSTEM`, a `terrafine.nn.system.System`. Weights lie in its `weights/NAME-xK.safetensors`,
recipes in its `recipes/`. What holds for all of them, finding, loading and running, stands here.
"""

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

if TYPE_CHECKING:
    from torch import nn

    from terrafine.nn.model import Model

__all__ = [
    "ModelRef",
    "export_onnx",
    "find_model",
    "find_system",
    "find_weights",
    "list_models",
    "load_model",
    "load_network",
    "recipe_folders",
    "require_engine",
    "system_names",
]

_HERE = Path(__file__).parent
_MODES = ("hard", "soft", "none")
_ENGINES = ("torch", "onnx", "openvino")
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model, and how to run it: small, picklable, enough to open it on any worker."""

    name: str
    spec: ModelSpec
    path: Path | None
    sha256: str
    options: Options = field(default_factory=Options)


def system_names() -> list[str]:
    """Folders of this package that hold a system, in order."""
    return sorted(_folders())


def _folders() -> dict[str, Path]:
    """Name -> folder of every system, wherever this package's path leads."""
    return {p.parent.name: p.parent for root in reversed(__path__) for p in Path(root).glob("*/__init__.py")}


def recipe_folders() -> list[Path]:
    """Where the systems' recipes lie, in order."""
    return [folder / "recipes" for _, folder in sorted(_folders().items())]


@cache
def find_system(name: str) -> System:
    """The system in that folder; raises NoModelError with the known names."""
    if name not in system_names():
        raise NoModelError(f"no system is called {name!r}; known are {', '.join(system_names())}")
    system: System = importlib.import_module(f"{__name__}.{name}").SYSTEM
    return system


def list_models() -> list[ModelRef]:
    """Every shipped model: those with weights, then those that need none."""
    return [_reference(p, Options()) for p in _shipped()] + list(_weightless(Options()))


def find_model(
    name_or_path: str | os.PathLike[str],
    scale: int,
    *,
    consistency: str = "hard",
    tolerance_m: float = 1.0,
    self_ensemble: bool = False,
    uncertainty: bool = False,
    engine: str = "torch",
    threads: int | None = None,
    verb: str = "dem",
    outputs: tuple[str, ...] = (),
) -> ModelRef:
    """The model of that name and scale for that verb, shipped or in a file; its spec lists `outputs` where given.

    Raises NoModelError, WeightsError, MissingExtraError or UsageError.
    """
    if consistency not in _MODES:
        raise UsageError(f"consistency {consistency!r}: expected one of {_MODES}")
    if engine not in _ENGINES:
        raise UsageError(f"engine {engine!r}: expected one of {_ENGINES}")
    if scale < 2 and verb == "dem":
        raise UsageError(f"scale {scale}: expected 2, 3 or 4, the output cells along one side of an input cell")
    if not tolerance_m >= 0:
        raise UsageError(f"tolerance {tolerance_m} m: expected 0 or more")
    options = Options(consistency, tolerance_m, self_ensemble, uncertainty, engine, threads, outputs)
    ref = _named(os.fspath(name_or_path), scale, options)
    if ref.path is not None:
        require_engine(engine)
    if scale in ref.spec.scales:
        ref = replace(ref, spec=_at_scale(ref.spec, scale))
    if ref.spec.scale != scale:
        raise NoModelError(f"{name_or_path}: these weights serve ×{ref.spec.scale}, asked was ×{scale}")
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
    """Raise MissingExtraError where a package of that engine is not installed; nothing is imported."""
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
    """Every model of that name, of a name with its scale (`ridgeline-x4`), or in that weights file.

    Raises NoModelError, or WeightsError for a file that is no weights.
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
    """The file of shipped weights called `NAME-xK`, or the path itself. Raises NoModelError."""
    for path in _shipped():
        if path.stem == name:
            return path
    if Path(name).is_file():
        return Path(name)
    raise NoModelError(f"no weights are called {name!r}; shipped are {', '.join(p.stem for p in _shipped())}")


def load_network(ref: ModelRef) -> nn.Module:
    """The torch network of a model with weights, in evaluation mode."""
    from terrafine.nn.weights import load

    system = find_system(ref.spec.system)
    if ref.path is None or system.build is None:
        raise WeightsError(f"{ref.name} is a formula: it has no network")
    _, tensors = load(ref.path)
    try:
        network = system.build(ref.spec.network, ref.spec.scale)
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError) as e:
        raise WeightsError(f"{ref.path}: the tensors do not fit system {ref.spec.system!r}: {_first_line(e)}") from e
    network.eval()
    _check_spec(ref, system.describe(network, ref.spec.network, ref.spec.scale))
    return network


def _check_spec(ref: ModelRef, built: ModelSpec) -> None:
    """Raise WeightsError where the spec in the file contradicts the network that was built from it."""
    spec = ref.spec
    wrong = [
        f"{field} is {getattr(spec, field)!r}, expected {getattr(built, field)!r}"
        for field in ("inputs", "tiling", "relative")
        if getattr(spec, field) != getattr(built, field)
    ]
    if set(spec.guides) != set(built.guides):
        wrong.append(f"guides are {sorted(spec.guides)}, expected {sorted(built.guides)}")
    if spec.halo < built.halo:
        wrong.append(f"halo is {spec.halo}, expected {built.halo} or more")
    if spec.multiple % built.multiple:
        wrong.append(f"multiple is {spec.multiple}, expected a multiple of {built.multiple}")
    if wrong:
        raise WeightsError(f"{ref.path}: its spec does not describe its network: {'; '.join(wrong)}; fetch it again")


def load_model(ref: ModelRef) -> Model:
    """Open a model to run it; raises WeightsError where the file changed since it was found."""
    if ref.path is not None and digest(ref.path) != ref.sha256:
        raise WeightsError(f"{ref.path}: changed since this run was planned; plan it again")
    system = find_system(ref.spec.system)
    network = load_network(ref) if ref.path is not None else None
    if ref.options.threads:
        import torch

        torch.set_num_threads(ref.options.threads)
    return system.adapt(ref.spec, network, ref.options)


def export_onnx(ref: ModelRef, path: str | os.PathLike[str]) -> Path:
    """Write the model as ONNX with its spec as metadata.

    Raises MissingExtraError, WeightsError, OutputError; UsageError for a model with guides, which the graph has not.
    """
    from terrafine.nn.elevation import ElevationModel
    from terrafine.nn.export import export_onnx as write

    if ref.spec.guides:
        raise UsageError(f"{ref.name} takes guides, and the ONNX form heights alone; export ridgeline, its fixed part")
    model = load_model(replace(ref, options=replace(ref.options, engine="torch")))
    if ref.path is None or not isinstance(model, ElevationModel):
        raise WeightsError(f"{ref.name} is a formula: there is no network to export")
    return write(model, path)


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
        raise NoModelError(f"{name} serves {', '.join(f'×{s}' for s in sorted(served))}; asked was ×{scale}")
    known = sorted({r.name for r in list_models()})
    raise NoModelError(f"no model is called {name!r}; known are {', '.join(known)}, or name a .safetensors file")


def _at_scale(spec: ModelSpec, scale: int) -> ModelSpec:
    """The spec of weights that serve several scales, at one of them: halo and tile follow."""
    fresh = find_system(spec.system).describe(None, spec.network, scale)
    return replace(spec, scale=scale, halo=fresh.halo, tile=fresh.tile, multiple=fresh.multiple)


def _reference(path: Path, options: Options) -> ModelRef:
    spec = read_spec(path)
    if spec.system not in system_names():
        raise WeightsError(f"{path}: made for system {spec.system!r}; this Terrafine has {', '.join(system_names())}")
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


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
