"""JointSeg as the engine runs it: from reflectance to impervious probability, and the 1 m image on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terrafine.errors import UsageError
from terrafine.nn.blocks import channels_last
from terrafine.nn.device import full_float32, to_device, to_host
from terrafine.nn.dihedral import COUNT, inverse, transform
from terrafine.nn.model import RESIDUAL, Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, network_of
from terrafine.physics.local_range import without_rings
from terrafine.physics.sensor_model import downsample
from terrafine.systems.jointseg.net import JointSeg, K, StageImages

__all__ = ["BANDS", "JointModel", "adapt", "describe"]

BANDS = ("red", "green", "blue", "nir")
MAP = ("impervious", "impervious_sigma")
_TILE, _HALO = 64, 16
_MARGIN = 0.05  # of the local range by which a fine cell may be beyond the observed cells around it


def describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    """Declare a model with overlapping, blended tiles.

    The segmenter has a larger receptive field than any affordable halo. At ×10 the output is `impervious`, at ×4 the
    2.5 m image of stage 1.

    Parameters
    ----------
    net
        Not used.
    network
        Network arguments.
    scale
        4 or 10.

    Returns
    -------
    ModelSpec
        The spec, without provenance.

    Raises
    ------
    UsageError
        For another scale.
    """
    if scale not in (4, K):
        raise UsageError(f"scale {scale}: JointSeg makes 1 m (×10) or 2.5 m (×4) of 10 m")
    bands = BANDS[: int(network.get("bands", 3))]
    both = network.get("through", "fine") == "fine"
    return ModelSpec(
        system="jointseg",
        name="jointseg",
        version="0",
        inputs=bands,
        outputs=MAP[:1] if scale == K else bands,
        scale=scale,
        scales=(4, K) if both else (),
        halo=_HALO,
        tiling="blend",
        tile=_TILE,
        network=dict(network),
    )


class JointModel:
    """Model that runs a `JointSeg` over tiles of reflectance.

    The outputs are:

    - `impervious`: probability, 0 to 1; with `self_ensemble` its mean over the eight reflections and rotations.
    - `impervious_sigma`: standard deviation of that probability over the eight, at eight times the cost.
    - `red`, `green`, `blue`, `nir`: reflectance at the spec's scale, back-projected and without rings around bright
      and dark objects, unless `consistency` is none.

    RESIDUAL is the difference between the input and the image passed through the sensor model.

    Parameters
    ----------
    spec
        Spec of the model.
    network
        Network.
    options
        Outputs, consistency, self-ensemble and engine.

    Raises
    ------
    UsageError
        For other outputs or engines, or images from a network that generates none.
    """

    def __init__(self, spec: ModelSpec, network: JointSeg, options: Options) -> None:
        wanted = options.outputs or spec.outputs
        known = (*MAP, *spec.inputs) if spec.scale == K else spec.inputs
        if not wanted or set(wanted) - set(known):
            raise UsageError(f"outputs {', '.join(wanted)}: at ×{spec.scale} {spec.name} gives {', '.join(known)}")
        if options.engine != "torch":
            raise UsageError(f"jointseg runs on torch; the engine {options.engine} cannot run it")
        if network.images is None and set(wanted) & set(spec.inputs):
            raise UsageError(f"{spec.name} makes no image of its own; expected a model with through = fine")
        self.spec, self.options, self.wanted = spec, options, wanted
        self.device = torch.device(options.device)
        self.network = network
        channels_last(network.eval(), self.device)
        self._codes = range(COUNT) if "impervious_sigma" in wanted or options.self_ensemble else range(1)

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """The bands asked for, float32 (tile, y·k, x·k), and RESIDUAL (tile, y, x)."""
        with full_float32():
            out = self._run(torch.from_numpy(np.stack([tiles.bands[name] for name in self.spec.inputs], axis=1)))
        wanted = {name: value for name, value in out.items() if name in (*self.wanted, RESIDUAL)}
        return {name: np.ascontiguousarray(value.numpy(), np.float32) for name, value in to_host(wanted).items()}

    def _run(self, image: Tensor) -> dict[str, Tensor]:
        """Every output that was computed, of an image (tile, band, y, x)."""
        x = to_device(image, self.device)
        images = self.network.generate_images(x)
        out: dict[str, Tensor] = {}
        if any(name in MAP for name in self.wanted):
            out |= self._map(x, images)
        if self.network.images is not None:
            image = images.fine if self.spec.scale == K or images.quarter is None else images.quarter
            if self.options.consistency == "none":
                unprojected = self.network.generate_images(x, 0)
                image = unprojected.fine if self.spec.scale == K or unprojected.quarter is None else unprojected.quarter
            else:
                image = without_rings(image, x, self.spec.scale, mtf=self.network.images.mtf, margin=_MARGIN)
            out |= {name: image[:, i] for i, name in enumerate(self.spec.inputs)}
            gap = downsample(image, self.spec.scale, self.network.images.mtf) - x
            out[RESIDUAL] = gap.abs().amax(dim=1)
        return out

    def _map(self, x: Tensor, images: StageImages) -> dict[str, Tensor]:
        total = square = torch.zeros((), dtype=torch.float64)
        for code in self._codes:
            transformed = transform(x, code).contiguous()
            logits = self.network.segment(transformed, self.network.generate_images(transformed) if code else images)
            p = to_host(transform(logits.softmax(dim=1)[:, 1], inverse(code))).double()
            total, square = total + p, square + p * p
        n = len(self._codes)
        spread = (square / n - (total / n) ** 2).clamp_min(0).sqrt()
        return {"impervious": (total / n).float(), "impervious_sigma": spread.float()}


def adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> JointModel:
    """Wrap a network as a model of the engine.

    Parameters
    ----------
    spec
        Spec of the model.
    net
        A JointSeg.
    options
        Options of the run.

    Returns
    -------
    JointModel
        The model.

    Raises
    ------
    TypeError
        For a network of another type.
    UsageError
        For outputs or an engine that `JointModel` rejects.
    """
    return JointModel(spec, network_of(net, JointSeg), options)
