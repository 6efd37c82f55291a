"""English that was left standing in what a technician reads in Ukrainian."""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"\b[A-Za-z][a-z']*(?:,? [a-z']+){2,}")
"""Three words in a row: names, keys, codes and the contract's own words stand alone."""


_COMMAND = re.compile(r"`[^`]*`|\b(?:sudo )?(?:systemctl|journalctl|stairwell|usermod|apt)(?: [\w-]+){1,2}")
"""What is typed as it is."""


def english_in(text: str) -> list[str]:
    """Each run of English words that is no command."""
    return _SENTENCE.findall(_COMMAND.sub("``", " ".join(text.split())))
