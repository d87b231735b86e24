"""Images without near infrared: the weights that do without, and what the run says of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from terrafine.errors import BandError

if TYPE_CHECKING:
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.raster.read.images.image import ImageSource
    from terrafine.systems import ModelRef

__all__ = ["INFRARED", "note_missing", "without_infrared"]

INFRARED = "nir"


def without_infrared(ref: ModelRef, missing: BandError) -> ModelRef:
    """Return the same weights for an image without near infrared.

    Parameters
    ----------
    ref
        The model.
    missing
        The error that reports which band the image lacks.

    Returns
    -------
    ModelRef
        The model that reads the other bands.

    Raises
    ------
    BandError
        The error again, if it is another band or the model cannot do without.
    """
    from terrafine.systems import find_system

    weaker = find_system(ref.spec.system).without
    spec = weaker(ref.spec, INFRARED) if weaker is not None and f"'{INFRARED}'" in str(missing) else None
    if spec is None:
        raise missing
    return dataclasses.replace(ref, spec=spec)


def note_missing(image: ImageSource | DateStack, ref: ModelRef, missing: BandError) -> None:
    """Note that the map is made without near infrared; where other bands are there, how to state which one it is.

    Parameters
    ----------
    image
        The image, opened without near infrared.
    ref
        The model.
    missing
        The error that reports the bands of the file.
    """
    from terrafine.raster.read.images.date_stack import DateStack

    first = image.images[0] if isinstance(image, DateStack) else image
    worse = f"without which {ref.name} separates plants from impervious ground worse"
    note = f"the image has no near infrared, {worse}"
    if first.unread > 0:
        note = f"{missing}, if one of them is near infrared. The map was made without it, {worse}"
    first.notes = (*first.notes, note)
    if image is not first:
        image.notes = (*image.notes, note)
