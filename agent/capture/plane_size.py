"""How large the small plane is that motion and scene analysis look at."""

from __future__ import annotations

from math import sqrt

TARGET_AREA = 320 * 180  # motion statistics are tuned to blocks of 8 pixels of about this plane


def reduction(width: int, height: int) -> int:
    """The whole ratio (at least 1) that brings the picture nearest to TARGET_AREA."""
    below = max(1, int(sqrt(width * height / TARGET_AREA)))
    return min((below, below + 1), key=lambda r: abs((width // r) * (height // r) - TARGET_AREA))
