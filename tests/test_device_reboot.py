"""A reboot is asked for, of somebody who hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.device import reboot
from agent.errors import StairwellError, StorageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_request_is_a_file(tmp_path: Path) -> None:
    """It lies where the path unit looks, is nobody else's to see, and may be made twice."""
    for _ in range(2):
        reboot.request({"RUNTIME_DIRECTORY": f"{tmp_path}:/other"})
    assert ["reboot"] == [path.name for path in tmp_path.iterdir()]
    assert 0o600 == (tmp_path / "reboot").stat().st_mode & 0o777


def test_without_a_service_manager_it_is_refused() -> None:
    """Nobody would hear: that is said, and no file is left anywhere."""
    with pytest.raises(StairwellError, match="run the agent as the service stairwell-agent"):
        reboot.request({})


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """The error names the place."""
    with pytest.raises(
        StorageError, match=r"gone/reboot: a reboot cannot be asked for \(there is no such file"
    ):
        reboot.request({"RUNTIME_DIRECTORY": str(tmp_path / "gone")})
