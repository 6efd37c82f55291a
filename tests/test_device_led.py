"""The LED blinks, and shows afterwards what it showed before."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.device.led import blinking
from agent.errors import StairwellError


def board(leds: Path, name: str, trigger: str, brightness: str = "0") -> Path:
    """An LED as the kernel shows it; reading a trigger gives all of them, the one in use in brackets."""
    led = leds / name
    led.mkdir(parents=True)
    (led / "trigger").write_text(trigger)
    (led / "brightness").write_text(brightness)
    return led


@pytest.mark.parametrize("name", ["ACT", "led0", "PWR"])
def test_it_blinks_meanwhile(tmp_path: Path, name: str) -> None:
    """By the kernel's timer, whatever the agent does; then the card's activity is shown again."""
    led = board(tmp_path, name, "none [mmc0] timer heartbeat\n")
    with blinking(tmp_path) as found:
        assert (name, "timer") == (found, (led / "trigger").read_text())
        assert int((led / "delay_on").read_text()) > 0
    assert "mmc0" == (led / "trigger").read_text()
    assert "0" == (led / "brightness").read_text()


def test_one_that_was_set_by_hand_is_set_again(tmp_path: Path) -> None:
    """On stays on."""
    led = board(tmp_path, "ACT", "[none] mmc0 timer\n", "255\n")
    with blinking(tmp_path):
        (led / "brightness").write_text("0")  # as the timer leaves it
    assert ("none", "255\n") == ((led / "trigger").read_text(), (led / "brightness").read_text())


def test_it_is_restored_after_an_error(tmp_path: Path) -> None:
    """Whatever happens meanwhile."""
    led = board(tmp_path, "ACT", "none [mmc0]\n")
    with pytest.raises(ZeroDivisionError), blinking(tmp_path):
        raise ZeroDivisionError
    assert "mmc0" == (led / "trigger").read_text()


def test_its_pace_may_be_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the timer appear with it and are root's: then it blinks at the kernel's own pace."""
    write = Path.write_text

    def refuse(path: Path, text: str, encoding: str | None = None) -> int:
        if path.name.startswith("delay"):
            raise PermissionError
        return write(path, text, encoding)

    led = board(tmp_path, "ACT", "[mmc0]\n")
    monkeypatch.setattr(Path, "write_text", refuse)
    with blinking(tmp_path):
        assert "timer" == (led / "trigger").read_text()
    assert "mmc0" == (led / "trigger").read_text()


def test_the_activity_led_comes_first(tmp_path: Path) -> None:
    """Of two, the one that does not say whether there is power."""
    board(tmp_path, "PWR", "[default-on]\n")
    board(tmp_path, "ACT", "[mmc0]\n")
    with blinking(tmp_path) as found:
        assert "ACT" == found


def test_none_or_one_that_must_not_be_set(tmp_path: Path) -> None:
    """Both are said, with what to do."""
    with pytest.raises(StairwellError, match="none of ACT"), blinking(tmp_path):
        pass
    led = board(tmp_path, "ACT", "[mmc0]\n")
    (led / "trigger").unlink()
    (led / "trigger").mkdir()
    with pytest.raises(StairwellError, match="cannot be set"), blinking(tmp_path):
        pass
