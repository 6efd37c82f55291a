"""Whether something stands before the background, or only light falls on it.

The edge of a shadow, of a door's wedge of light or of a headlight moves like a person. But light leaves the
texture of what it falls on: beside the edge itself, every contour of the background is still there, with the
contrast that the brightness calls for. Behind a person it is gone. So the pixels with a contour of their own
are asked one by one, and counted: a count does not mind how strong the edge is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import PEDESTAL, block_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.structure import Plane, View

CONTOUR = np.float32(16)  # squared contour over noise variance that makes a pixel a witness
OWN_NOISE = np.float32(16)  # as much again while the background is as noisy as a single picture
LEAST_CONTOUR = np.float32(6)  # levels²: the coder smooths weaker ones away
CHANGED = np.float32(3)  # sigma: a pixel as bright as before says nothing
LEAST_CHANGE = np.float32(2)  # levels
BAND = (np.float32(0.35), np.float32(3))  # contour now over contour expected that counts as kept
PENUMBRA = 7  # pixels: slopes wider than this are light, not contours
PRIOR = 0.3  # share lost that is assumed where there are no witnesses: neither light nor person
PRIOR_WEIGHT = 0.3  # blocks full of witnesses that weigh as much as the prior


def contours(now: View, back: View, noise: float, back_noise: float) -> tuple[Plane, Plane]:
    """Witnesses, and lost contours among them, as shares of the pixels of each block (rows, cols).

    `noise` is the variance of a pixel of the halved plane, `back_noise` that of the background as a share
    of it.
    """
    size = (now.fine.shape[1], now.fine.shape[0])
    ratios = (now.blocks + PEDESTAL) / (back.blocks + PEDESTAL)
    ratio = cv2.resize(ratios, size)
    common = np.median(ratios)  # exposure follows whoever comes in: that is no change of a pixel
    dot, power = np.zeros_like(now.fine), np.zeros_like(now.fine)
    sharp_now, sharp_back = (of.fine - cv2.blur(of.fine, (PENUMBRA, PENUMBRA)) for of in (now, back))
    for axis, span in ((0, np.s_[1:]), (1, np.s_[:, 1:])):
        there, here = np.diff(sharp_back, axis=axis), np.diff(sharp_now, axis=axis)
        dot[span] += there * here
        power[span] += there * there
    sigma2 = np.float32(noise)
    least = (CONTOUR + OWN_NOISE * np.float32(back_noise)) * sigma2 + LEAST_CONTOUR
    witness = power * np.minimum(ratio * ratio, 1) > least
    witness &= (
        np.abs(now.fine + PEDESTAL - common * (back.fine + PEDESTAL))
        > CHANGED * np.sqrt(sigma2) + LEAST_CHANGE
    )
    power *= ratio
    lost = witness & ((dot < BAND[0] * power) | (dot > BAND[1] * power))
    return block_mean(witness.astype(np.float32)), block_mean(lost.astype(np.float32))


def lost_share(where: NDArray[np.bool_], witness: Plane, lost: Plane) -> float:
    """Share of the background's contours that are lost in the fine windows `where`, 0..1.

    Persons give 0.4 to 0.9, moving light 0 to 0.25.
    """
    blocks = np.zeros(witness.shape, np.uint8)
    blocks[:-1, :-1] = where
    inside = cv2.dilate(blocks, _AROUND) > 0
    asked, gone = float(witness[inside].sum()), float(lost[inside].sum())
    return (gone + PRIOR_WEIGHT * PRIOR) / (asked + PRIOR_WEIGHT)


_AROUND = np.ones((3, 3), np.uint8)
