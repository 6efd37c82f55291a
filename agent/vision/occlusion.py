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

from agent.vision.structure import BLOCK, PEDESTAL

if TYPE_CHECKING:
    from agent.vision.regions import Group
    from agent.vision.structure import View

CONTOUR = 16.0  # squared contour over noise variance that makes a pixel a witness
OWN_NOISE = 16.0  # as much again while the background is as noisy as a single picture
LEAST_CONTOUR = 6.0  # levels²: the coder smooths weaker ones away
CHANGED = 3.0  # sigma: a pixel as bright as before says nothing
LEAST_CHANGE = 2.0  # levels
LOW, HIGH = np.float32(0.35), np.float32(3)  # contour now over contour expected that counts as kept
PENUMBRA = 7  # pixels: slopes wider than this are light, not contours
PRIOR = 0.3  # share lost that is assumed where there are no witnesses: neither light nor person
PRIOR_WEIGHT = 0.3  # blocks full of witnesses that weigh as much as the prior

_SIDE = BLOCK // 2  # of a block in the halved plane
_AROUND = np.ones((3, 3), np.uint8)  # beside an edge of light stand its best witnesses


def lost_share(group: Group, now: View, back: View, noise: float, back_noise: float) -> float:
    """Share of the background's contours that are lost in a group of fine windows, 0..1.

    Persons give 0.4 to 0.9, moving light 0 to 0.25. `noise` is the variance of a pixel of the halved plane,
    `back_noise` that of the background as a share of it.
    """
    # Two blocks more on each side: the high pass must see what is beside the pixels that are asked.
    blocks = tuple(slice(max(0, s.start - 2), s.stop + 3) for s in group.span)
    ratio = (now.blocks[blocks] + PEDESTAL) / (back.blocks[blocks] + PEDESTAL)
    fine = tuple(slice(s.start * _SIDE, s.stop * _SIDE) for s in blocks)
    here, there = now.fine[fine], back.fine[fine]
    size = (here.shape[1], here.shape[0])
    wide = cv2.resize(ratio, size)
    dot, power = np.zeros_like(here), np.zeros_like(here)
    sharp_here, sharp_there = (p - cv2.blur(p, (PENUMBRA, PENUMBRA)) for p in (here, there))
    for span, cut in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        slope_here, slope_there = sharp_here[span] - sharp_here[cut], sharp_there[span] - sharp_there[cut]
        dot[span] += slope_there * slope_here
        power[span] += slope_there * slope_there
    least = (CONTOUR + OWN_NOISE * back_noise) * noise + LEAST_CONTOUR
    witness = power * np.minimum(wide * wide, 1) > np.float32(least)
    common = _exposure(now, back)
    expected = np.float32(common) * there + np.float32((common - 1) * PEDESTAL)
    witness &= np.abs(here - expected) > np.float32(CHANGED * noise**0.5 + LEAST_CHANGE)
    power *= wide
    lost = witness & ((dot < LOW * power) | (dot > HIGH * power))
    inside = np.zeros(ratio.shape, np.uint8)
    y, x = (s.start - b.start for s, b in zip(group.span, blocks, strict=True))
    inside[y : y + group.marked.shape[0], x : x + group.marked.shape[1]] = group.marked
    where = cv2.resize(cv2.dilate(inside, _AROUND), size, interpolation=cv2.INTER_NEAREST) > 0
    asked, gone = (np.count_nonzero(mask & where) / _SIDE**2 for mask in (witness, lost))
    return (gone + PRIOR_WEIGHT * PRIOR) / (asked + PRIOR_WEIGHT)


def _exposure(now: View, back: View) -> float:
    """How much brighter the typical block is: it follows whoever comes in, and is no change of a pixel."""
    ratios = (now.blocks + PEDESTAL) / (back.blocks + PEDESTAL)
    middle = ratios.size // 2
    return float(np.partition(ratios, middle, axis=None)[middle])
