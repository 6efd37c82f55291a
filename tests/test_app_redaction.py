"""What is shown of the settings holds no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from app_parts import settings

from agent.app.redaction import redacted
from agent.config import keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7:554/ch1", "rtsp://***@10.0.0.7:554/ch1"),
        ("rtsp://10.0.0.7/ch1?user=admin&password=s3cret", "rtsp://10.0.0.7/ch1?***"),
        ("http://a:s3cret@b@10.0.0.7/x?token=s3cret\n", "http://***@10.0.0.7/x?***"),
        ("/dev/video0", "/dev/video0"),
        ("synthetic:?seconds=5", "synthetic:?seconds=5"),
    ],
)
def test_a_cameras_password_is_not_told(tmp_path: Path, source: str, shown: str) -> None:
    """Wherever in the address it is."""
    told = redacted(settings(tmp_path, capture={"source": source}))
    assert shown == told["capture"]["source"]
    assert "s3cret" not in json.dumps(told)


def test_files_are_named_and_not_read(tmp_path: Path) -> None:
    """Every key is there, as JSON types; of a secret's file only the name."""
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    told = redacted(settings(tmp_path, backbone={"password_file": secret}))
    assert str(secret) == told["backbone"]["password_file"]
    assert "s3cret" not in json.dumps(told)
    assert {section: sorted(table) for section, table in told.items()} == keys()
