"""Whether an image is like what weights saw in training, band by band, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from terrafine.raster.read.images.sensors import COLOURS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.raster.protocol import Measured
    from terrafine.systems import ModelRef

__all__ = ["bright_notes", "compared", "domain_notes", "resolution", "trained_on"]

_FAR = 0.35  # difference of two shares of cells below one reflectance from which distributions count as different
_BRIGHT = 0.05  # share of bright, colourless cells that is noted; 12 clear scenes of cities have 0.011 or less
_ADVICE = "take the result as unproven here"


def trained_on(ref: ModelRef) -> str:
    """Return the ground and the images of the training, as the weights or their system state them.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    str
        Words for a summary; `not stated` where nothing is known.
    """
    from terrafine.systems import find_system

    stated = ref.spec.provenance.get("seen")
    return str(stated or _of_shipped(ref, find_system(ref.spec.system).seen) or "not stated")


def resolution(ref: ModelRef) -> str:
    """Return the effective resolution that was measured for a model, as the weights or their system state it.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    str
        Words that follow "effective resolution"; `not measured` where nothing is known.
    """
    from terrafine.systems import find_system

    known = ref.spec.provenance.get("effective_resolution_m")
    if known:
        return f"{float(known):.2g} m"
    return _of_shipped(ref, find_system(ref.spec.system).resolved) or "not measured"


def _of_shipped(ref: ModelRef, stated: Mapping[str, str]) -> str:
    """What a system states of a shipped file; nothing for other weights, whatever their name."""
    from terrafine.systems import find_weights

    return stated[ref.name] if ref.name in stated and ref.path == find_weights(ref.name) else ""


def compared(image: Measured, ref: ModelRef) -> tuple[str, ...]:
    """Return a warning for each band whose distribution differs from that of the training data and of its copies.

    Parameters
    ----------
    image
        An open image.
    ref
        The model.

    Returns
    -------
    tuple of str
        As `domain_notes`.
    """
    from terrafine.raster.read.images.image_sample import sample
    from terrafine.systems import find_system

    domain = ref.spec.provenance.get("domain") or find_system(ref.spec.system).domain.get(ref.name) or {}
    found = sample(image)
    notes = [domain_notes(seen, found, ref.name) for seen in (domain, *_copies(ref, domain))]
    return min(notes, key=len)


def _copies(ref: ModelRef, domain: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the weights saw in copies of their images about as level 2A looks, where their recipe has those."""
    recipe = ref.spec.provenance.get("recipe")
    patches = recipe.get("patches") if isinstance(recipe, Mapping) else None
    if not (isinstance(patches, Mapping) and patches.get("surface")) or set(domain) != {*COLOURS, "nir"}:
        return []
    known = [domain[name] for name in domain]
    if not all(isinstance(one, Mapping) and one.keys() == known[0].keys() for one in known):
        return []
    import torch

    from terrafine.training.scenes.data import BANDS
    from terrafine.training.scenes.patches import surface_reflectance

    levels = torch.tensor([list(domain[name].values()) for name in BANDS])
    copied = surface_reflectance(levels[None, :, None])[0, :, 0].tolist()
    return [{name: dict(zip(domain[name], row, strict=True)) for name, row in zip(BANDS, copied, strict=True)}]


def bright_notes(share: float) -> tuple[str, ...]:
    """Return a warning where a part of an image looks like cloud or snow that was not masked.

    Parameters
    ----------
    share
        Share of the image's cells that are bright and colourless.

    Returns
    -------
    tuple of str
        One sentence, or none.
    """
    if share <= _BRIGHT:
        return ()
    return (
        f"{100 * share:.0f} % of the image is as bright and colourless as cloud or snow and was read as ground; if it "
        "is cloud, mask it or take a clear scene",
    )


def domain_notes(domain: Mapping[str, Any], found: NDArray[np.float64], model: str) -> tuple[str, ...]:
    """Warnings about the bands of an image.

    Parameters
    ----------
    domain
        Band -> what the weights saw: quantiles by share, `{"0.05": 0.03, "0.50": 0.12, ...}`; or, of earlier weights,
        lowest and highest usual value.
    found
        Reflectance of cells spread over the image, (band, cell); red, green and blue.
    model
        Name of the model, for the notes.

    Returns
    -------
    tuple of str
        A sentence for each band that is distributed otherwise: at one of the quantiles, the share of the image's cells
        below it differs by more than 0.35. One sentence more where the weights state nothing, or no distribution.
    """
    if not found.size:
        return ()
    if not domain:
        return (f"{model} does not state which reflectances it saw in training, so the image was not compared",)
    notes = []
    coarse = False
    for name, values in zip(COLOURS, found, strict=True):
        known = domain.get(name)
        if isinstance(known, Mapping):
            notes += _by_quantiles(name, known, values)
        elif isinstance(known, Sequence) and len(known) == 2:
            coarse = True
            notes += _by_range(name, float(known[0]), float(known[1]), values)
    if coarse:
        notes.append(f"{model} states only the usual range of each band, so medians were compared, not distributions")
    return tuple(notes)


def _by_quantiles(name: str, known: Mapping[str, float], values: NDArray[np.float64]) -> list[str]:
    """The quantile at which the image differs most, where that is far."""
    import numpy as np

    gaps = [(float(np.mean(values < q)), float(p), float(q)) for p, q in known.items()]
    share, expected, level = max(gaps, key=lambda gap: abs(gap[0] - gap[1]))
    if abs(share - expected) <= _FAR:
        return []
    side, of_image, of_training = ("below", share, expected) if share > expected else ("above", 1 - share, 1 - expected)
    return [
        f"{name}: {100 * of_image:.0f} % of the image is {side} a reflectance of {level:.2g}, against "
        f"{100 * of_training:.0f} % of what the weights saw in training; {_ADVICE}"
    ]


def _by_range(name: str, low: float, high: float, values: NDArray[np.float64]) -> list[str]:
    import numpy as np

    middle = float(np.median(values))
    if low <= middle <= high:
        return []
    return [
        f"{name}: half of the image is {'below' if middle < low else 'above'} a reflectance of {middle:.2g}, where the "
        f"weights saw mostly {low:.2g} to {high:.2g} in training; {_ADVICE}"
    ]
