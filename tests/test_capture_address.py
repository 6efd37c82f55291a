"""Addresses that may be shown."""

from __future__ import annotations

import pytest

from agent.capture.address import without_credentials
from agent.capture.kind import source_kind
from agent.errors import ConfigError


@pytest.mark.parametrize("secret", ["u:p@", "u:p@ss@", "u:p/ss@", "u:p/s@s@", "u:p ss@", "u:p#?@", "u@", ""])
@pytest.mark.parametrize("scheme", ["rtsp", "RTSPS", "http", "ftp"])
def test_user_and_password_are_cut_whole(scheme: str, secret: str) -> None:
    """Whatever characters they hold; host and path stay."""
    source = f"{scheme}://{secret}cam:554/stairs?channel=1"

    assert f"{scheme}://cam:554/stairs?channel=1" == without_credentials(source)
    shown = without_credentials(source, "***@")
    assert shown == f"{scheme}://{'***@' if secret else ''}cam:554/stairs?channel=1"


@pytest.mark.parametrize("source", ["/srv/a//b@c.mp4", "/dev/v4l/by-id/x@1", "synthetic:?seconds=1"])
def test_what_has_no_credentials_stays(source: str) -> None:
    """A file's name is no address."""
    assert source == without_credentials(source)


def test_a_refused_source_is_told_without_its_password() -> None:
    """The error stands in logs."""
    with pytest.raises(ConfigError, match="ftp://cam/1") as error:
        source_kind("ftp://user:hu@s/h@cam/1")

    assert "hu" not in str(error.value)
