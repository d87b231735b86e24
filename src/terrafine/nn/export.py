"""Other engines for a network: export to ONNX, inference by onnxruntime or OpenVINO."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terrafine.atomic import write_whole
from terrafine.errors import MissingExtraError, OutputError, UsageError
from terrafine.host import import_engine
from terrafine.nn.elevation import ElevationModel, Forward, Relief
from terrafine.physics.consistency import keep_observation

__all__ = ["export_onnx", "to_onnx", "with_engine"]

_INPUTS = ("elevation", "pixel_size_m")


class _Graph(nn.Module):
    """(elevation (n, 1, y, x) m, pixel_size_m (n, 2, y, 1)) -> (fine elevation, relief[, log_sigma])."""

    def __init__(self, model: ElevationModel) -> None:
        super().__init__()
        self.network, self.run = model.network, model.forward
        self.scale = model.spec.scale

    def forward(self, elevation: Tensor, pixel_size_m: Tensor) -> tuple[Tensor, ...]:
        out = self.run(self.network, elevation, pixel_size_m)
        kept = keep_observation(out.relief)
        fine = nn.functional.pixel_shuffle(elevation + kept, self.scale)
        return (fine, out.relief) if out.log_sigma is None else (fine, out.relief, out.log_sigma)


def to_onnx(model: ElevationModel) -> bytes:
    """Convert a network to ONNX with free tile and batch size, and its spec under the metadata key `terrafine`.

    The inputs are `elevation` (n, 1, y, x) in metres, nodata filled, and `pixel_size_m` (n, 2, y, 1). The outputs are
    `fine` (n, 1, k·y, k·x), back-projected, `relief` (n, k², y, x) before that, and `log_sigma` where the model has it.

    Parameters
    ----------
    model
        Model whose network is converted.

    Returns
    -------
    bytes
        The serialised ONNX file.

    Raises
    ------
    MissingExtraError
        Without the `onnx` extra.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as e:
        raise MissingExtraError("ONNX needs an extra: pip install 'terrafine[onnx]'") from e
    graph = _Graph(model).eval()
    side = 8 * model.spec.multiple
    example = (torch.zeros(1, 1, side, side), torch.full((1, 2, side, 1), 30.0))
    with torch.no_grad():
        count = len(graph(*example))
    names = ["fine", "relief", "log_sigma"][:count]
    axes = {n: {0: "tile", 2: "y", 3: "x"} for n in ("elevation", *names)} | {"pixel_size_m": {0: "tile", 2: "y"}}
    axes = {n: {a: (f"{n}_{label}" if n in names else label) for a, label in d.items()} for n, d in axes.items()}
    buffer = io.BytesIO()
    # ONNX has Asinh since opset 9; the tracing exporter does not know it.
    exporter: Any = torch.onnx  # its types know neither buffers nor custom symbols
    exporter.register_custom_op_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), 9)
    with warnings.catch_warnings():  # the tracing exporter, announced as legacy, is the one that keeps sizes free
        warnings.simplefilter("ignore")
        exporter.export(
            graph,
            example,
            buffer,
            input_names=list(_INPUTS),
            output_names=names,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    proto = onnx.load_from_string(buffer.getvalue())
    entry = proto.metadata_props.add()
    entry.key, entry.value = "terrafine", model.spec.to_json()
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def export_onnx(model: ElevationModel, path: str | os.PathLike[str]) -> Path:
    """Write `to_onnx` to a file, completely or not at all.

    Parameters
    ----------
    model
        As in `to_onnx`.
    path
        File to write.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    MissingExtraError
        Without the `onnx` extra.
    OutputError
        Where the file cannot be written.
    """
    path, data = Path(path), to_onnx(model)
    try:
        write_whole(path, data)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror}); choose another folder") from e
    return path


def with_engine(model: ElevationModel) -> ElevationModel:
    """Return the same model with its network run by the engine that its options name.

    Parameters
    ----------
    model
        Model to run; with the engine `torch` it is returned unchanged.

    Returns
    -------
    ElevationModel
        Model on that engine.

    Raises
    ------
    UsageError
        For an engine other than torch, onnx or openvino.
    MissingExtraError
        Without the extra that the engine needs.
    """
    engine = model.options.engine
    if engine == "torch" or isinstance(model.network, nn.Identity):
        return model
    run = {"onnx": _onnxruntime, "openvino": _openvino}.get(engine)
    if run is None:
        raise UsageError(f"engine {engine!r}: expected torch, onnx or openvino")
    return ElevationModel(model.spec, None, _forward(run(to_onnx(model), model.options.threads)), model.options)


Run = Callable[[dict[str, Any]], list[Any]]


def _forward(run: Run) -> Forward:
    def forward(network: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
        feeds = dict(zip(_INPUTS, (heights.contiguous().numpy(), pixel_size_m.contiguous().numpy()), strict=True))
        _, *outputs = (torch.from_numpy(o.copy()) for o in run(feeds))
        return Relief(*outputs)

    return forward


def _onnxruntime(data: bytes, threads: int | None) -> Run:
    try:
        onnxruntime = import_engine("onnxruntime")
    except ImportError as e:
        raise MissingExtraError("the engine onnx needs an extra: pip install 'terrafine[onnx]'") from e
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda feeds: list(session.run(None, feeds))


def _openvino(data: bytes, threads: int | None) -> Run:
    try:
        openvino = import_engine("openvino")
    except ImportError as e:
        raise MissingExtraError("the engine openvino needs an extra: pip install 'terrafine[openvino]'") from e
    core = openvino.Core()
    # OpenVINO computes in bfloat16 without being asked where the processor can; here only float32 is exact enough.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(core.read_model(data, b""), "CPU", settings)
    count = len(compiled.outputs)

    def run(feeds: dict[str, Any]) -> list[Any]:
        found = compiled(feeds)
        return [found[i] for i in range(count)]

    return run
