"""`array.terrafine.sharpen_dem(scale=4)`: the verbs as methods of DataArrays and Datasets.

`import terrafine.xarray` registers the accessor; `import terrafine` alone loads no xarray. Every method takes the
keywords of the function of its name and returns an array like the one it was called on.
"""

from __future__ import annotations

from typing import Any

from terrafine.errors import MissingExtraError

try:
    import xarray as xr
except ImportError as error:
    raise MissingExtraError("DataArrays need the extra `xarray`; install terrafine[xarray]") from error

__all__ = ["TerrafineAccessor"]


@xr.register_dataset_accessor("terrafine")  # type: ignore[no-untyped-call,unused-ignore]
@xr.register_dataarray_accessor("terrafine")  # type: ignore[no-untyped-call,unused-ignore]
class TerrafineAccessor:
    """The verbs of Terrafine on an array: `array.terrafine`.

    Parameters
    ----------
    array
        A DataArray, or a Dataset whose variables are bands.
    """

    def __init__(self, array: Any) -> None:
        self._array = array

    def sharpen_dem(self, **options: Any) -> Any:
        """Super-resolve an elevation model.

        Parameters
        ----------
        **options
            Keywords of `terrafine.sharpen_dem`.

        Returns
        -------
        DataArray
            float32 metres on the finer grid; of a dask array lazy, as `terrafine.sharpen_dem` describes.

        Raises
        ------
        TerrafineError
            As `terrafine.sharpen_dem`.
        """
        from terrafine.workflows.dem import sharpen_dem

        return sharpen_dem(self._array, **options)

    def sharpen_image(self, **options: Any) -> Any:
        """Sharpen a 10 m image.

        Parameters
        ----------
        **options
            Keywords of `terrafine.sharpen_image`.

        Returns
        -------
        DataArray
            float32 reflectance (band, y, x) on the finer grid; of a dask array lazy.

        Raises
        ------
        TerrafineError
            As `terrafine.sharpen_image`.
        """
        from terrafine.workflows.image import sharpen_image

        return sharpen_image(self._array, **options)

    def map_impervious(self, **options: Any) -> Any:
        """Map impervious surface in a 10 m image.

        Parameters
        ----------
        **options
            Keywords of `terrafine.map_impervious`.

        Returns
        -------
        DataArray
            uint8 classes (y, x), 255 unknown; with probabilities float32 (band, y, x). Of a dask array lazy.

        Raises
        ------
        TerrafineError
            As `terrafine.map_impervious`.
        """
        from terrafine.workflows.impervious import map_impervious

        return map_impervious(self._array, **options)

    def estimate_height(self, **options: Any) -> Any:
        """Estimate relief from one optical image.

        Parameters
        ----------
        **options
            Keywords of `terrafine.estimate_height`.

        Returns
        -------
        DataArray
            float32 metres (y, x); of a dask array lazy, unless `anchor` is given.

        Raises
        ------
        TerrafineError
            As `terrafine.estimate_height`.
        """
        from terrafine.workflows.height import estimate_height

        return estimate_height(self._array, **options)
