"""The options of a comparison of images."""

from __future__ import annotations

from dataclasses import dataclass

from terrafine.arguments import check_fields
from terrafine.errors import UsageError

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options of `images.compare.compare`; each may be given to it directly by keyword.

    Parameters
    ----------
    divide_by : float, optional
        What the files hold for a reflectance of 1; by default `full_scale` of each file.
    window : int
        Cells of the fine grid along a window, at most; larger windows take more memory.
    peak : float
        The reflectance range of PSNR and SSIM.

    Raises
    ------
    UsageError
        If a value is outside its range.
    """

    divide_by: float | None = None
    window: int = 512
    peak: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.divide_by is not None and not self.divide_by > 0:
            raise UsageError(f"divide_by={self.divide_by:g}; expected a number above 0")
        if self.window < 64 or not self.peak > 0:
            raise UsageError(f"window {self.window}, peak {self.peak}; expected at least 64, and above 0")
