"""What is known of a clip's plaintext while it is written: the facts behind its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.clips.journal import OpenClip


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of the plaintext: a GOP, or FRAGMENT_S of a longer one.

    `t`: seconds after the first picture. The stretches of a clip follow each other without a hole.
    """

    t: float
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A clip up to a sync: `bytes` of plaintext that play for `end` seconds.

    `fragments` are those since the sync before. `about` is what else is known of the clip by then.
    """

    codec: str
    width: int
    height: int
    bytes: int
    end: float
    fragments: tuple[Fragment, ...]
    about: OpenClip | None = None


@dataclass(frozen=True, slots=True)
class Plaintext:
    """The whole plaintext of a clip: what decrypting its file gives, or the file itself if it is unsealed.

    Its hashes are those of its fragments. One of the whole would say nothing that they don't, and cost as
    much as sealing it.
    """

    bytes: int
    fragments: tuple[Fragment, ...]
