"""A constant-velocity Kalman filter for one coordinate; four of them follow a box.

The coordinates of a box are independent enough to be filtered one by one (SORT, Bewley et al. 2016, does
it with one 7x7 matrix that is all but diagonal); this needs no matrices and any step of time.
"""

from __future__ import annotations


class Axis:
    """Position and velocity of one coordinate, with their covariance."""

    __slots__ = ("_pvv", "_pxv", "_pxx", "v", "x")

    def __init__(self, x: float, noise: float, speed: float) -> None:
        """`noise`: standard deviation of the measurement `x`; `speed`: of the unknown velocity."""
        self.x, self.v = x, 0.0
        self._pxx, self._pxv, self._pvv = noise * noise, 0.0, speed * speed

    def predict(self, dt: float, agility: float) -> None:
        """Go on by `dt` seconds; `agility` is the root of the spectral density of the acceleration."""
        q = agility * agility
        self.x += self.v * dt
        self._pxx += dt * (2 * self._pxv + dt * self._pvv) + q * dt**3 / 3
        self._pxv += dt * self._pvv + q * dt * dt / 2
        self._pvv += q * dt

    def update(self, x: float, noise: float) -> None:
        """Take a measurement."""
        innovation = x - self.x
        total = self._pxx + noise * noise
        kx, kv = self._pxx / total, self._pxv / total
        self.x += kx * innovation
        self.v += kv * innovation
        self._pvv -= kv * self._pxv
        self._pxv *= 1 - kx
        self._pxx *= 1 - kx
