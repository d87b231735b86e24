"""The rows of `jointseg.py`, in the order of its page."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FAIR", "FIRST", "LONG", "LONGER", "OURS", "ROWS", "UPPER"]

LONG = 3
LONGER = f", {LONG} times the steps"
FIRST = "bilinear, segmenter trained on the truth"
FAIR = "bilinear, segmenter trained on bilinear"
COARSE, OURS, UPPER = "10 m segmentation, resampled", "JointSeg", "true 1 m image"

# name: (run, whether it reads the true 1 m image)
ROWS: Mapping[str, tuple[str, bool]] = {
    COARSE: ("coarse", False),
    FIRST: ("truth", False),
    FAIR: ("bilinear", False),
    "stage 1, then segmenter": ("stage1", False),
    "Prog-ESRGAN, then segmenter (apart)": ("apart", False),
    "JointSeg, segmenter sees the image alone": ("imageonly", False),
    "JointSeg, Mask2Former": ("mask2former", False),
    "JointSeg's network, no loss on its images": ("untaught", False),
    "JointSeg, light and haze varied": ("hazy", False),
    "JointSeg, light and haze varied, trained on Ohio too": ("both", False),
    OURS: ("joint", False),
    UPPER: ("truth", True),
    COARSE + LONGER: ("coarse-long", False),
    FAIR + LONGER: ("bilinear-long", False),
    OURS + LONGER: ("joint-long", False),
    UPPER + LONGER: ("truth-long", True),
}
