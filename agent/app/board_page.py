"""The pages of the board as HTML: the door, where the code is typed in, and the board itself.

Templates, style and script are files beside each other in `page/`; what people read is put in here, in their
language. All that comes from elsewhere is escaped.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from agent.words import say

if TYPE_CHECKING:
    from agent.words import Language, Text

FILES = Path(__file__).parent / "page"
ASSETS = {"/board.js": "text/javascript", "/board.css": "text/css"}
"""What is no secret, by path."""

TEXTS: dict[str, Text] = {
    "light": say("Light"),
    "level": say("Tilt"),
    "sharpness": say("Sharpness"),
    "best": say("best so far"),
    "picture": say("The camera's picture, with masks and zones"),
    "outlines": say("Outlines"),
    "add_mask": say("Mask"),
    "add_zone": say("Zone"),
    "undo": say("Undo"),
    "remove": say("Remove"),
    "remove_corner": say("Remove corner"),
    "save": say("Save"),
    "finish": say("Finish"),
    "name": say("Name"),
    "mask": say("mask"),
    "zone": say("zone"),
    "corner": say("corner"),
    "persons": say("Persons"),
    "motion": say("Motion"),
    "anywhere": say("as elsewhere"),
    "include": say("count only here"),
    "exclude": say("do not count here"),
    "none": say("Nothing is drawn yet."),
    "draw": say("Drag a rectangle over the picture, or tap where it shall be. Then move its corners."),
    "loading": say("One moment…"),
    "in_force": say("In force: this is what the agent works with."),
    "unsaved": say("Not saved yet. A new mask hides nothing before it is saved and in force."),
    "saving": say("Saving…"),
    "waiting": say("Saved, not in force yet: the agent starts anew. It takes some seconds."),
    "late": say("Saved, but the agent is not back after a minute: look at `stairwell doctor` on the kit."),
    "fixed_masks": say("Masks are set by the city, and can be changed there only."),
    "fixed_zones": say("Zones are set by the city, and can be changed there only."),
    "bad_name": say("A name has small Latin letters, digits and dashes, and each name is there once."),
    "full": say("There are sixteen of them; there is no room for more."),
    "no_picture": say("No picture now."),
    "away": say(
        "The kit does not answer: are the tunnel (ssh) and the command that serves this page still open?"
    ),
    "out": say("The page is over: ask for a new code on the kit."),
    "done": say("Finished. This page can be closed."),
    "leave": say("There is something that is not saved. Finish all the same?"),
    "help": say(
        "Masks are black for everybody: the recording, the detector, this page. Cover doors of flats and "
        "windows. Zones name parts of the floor."
    ),
}
DOOR: dict[str, Text] = {
    "ask": say("One-time code"),
    "hint": say("It stands in the terminal, below `stairwell commission view`."),
    "enter": say("Open"),
    "noted": say("Who looks and who draws is noted in the kit's audit."),
}


def asset(path: str) -> tuple[str, bytes] | None:
    """Type and content of a file that everybody may have; None if there is none of that path."""
    kind = ASSETS.get(path)
    return None if kind is None else (f"{kind}; charset=utf-8", (FILES / path.removeprefix("/")).read_bytes())


def board(kit: str, language: Language) -> str:
    """The page for aiming and drawing."""
    texts = {name: text.told(language) for name, text in TEXTS.items()}
    texts["title"] = say("Camera {kit}", kit=kit).told(language)
    # In a script element only `<` could end it, and JSON may say it otherwise.
    data = json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")
    return _filled("board.html", texts | {"lang": language}, {"texts": data})


def door(kit: str, language: Language, problem: Text | None) -> str:
    """The page that asks for the code; `problem` is what was wrong with the last one."""
    texts = {name: text.told(language) for name, text in DOOR.items()}
    texts |= {
        "title": say("Camera {kit}", kit=kit).told(language),
        "lang": language,
        "problem": "" if problem is None else problem.told(language),
    }
    return _filled("door.html", texts, {})


def _filled(name: str, texts: dict[str, str], ready: dict[str, str]) -> str:
    """The template with `texts`, escaped, and what is `ready` as it is."""
    template = Template((FILES / name).read_text(encoding="utf-8"))
    return template.substitute({key: html.escape(text) for key, text in texts.items()} | ready)
