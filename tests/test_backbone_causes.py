"""Why there is no connection."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from agent.backbone.causes import Cause, of_attempt, of_error, of_reason


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "try again"), Cause.DNS),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Cause.REFUSED),
        (OSError(errno.ENETUNREACH, "network"), Cause.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "host"), Cause.UNREACHABLE),
        (TimeoutError("timed out"), Cause.TIMEOUT),
        (certificate(9), Cause.TLS_NOT_YET_VALID),
        (certificate(10), Cause.TLS_EXPIRED),
        (certificate(62), Cause.TLS_HOSTNAME),
        (certificate(64), Cause.TLS_HOSTNAME),
        (certificate(19), Cause.TLS_UNTRUSTED),
        (ssl.SSLError(1, "wrong version number"), Cause.TLS),
        (ssl.SSLEOFError(8, "EOF in violation of protocol"), Cause.TLS_REJECTED),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Cause.TLS_REJECTED),
        (OSError(errno.EIO, "something else"), Cause.LOST),
    ],
)
def test_each_error_has_its_word(error: OSError, cause: Cause) -> None:
    """A technician is told what to look at, not the number of an exception."""
    assert cause == of_error(error)


def test_without_a_way_out_no_name_server_is_to_blame() -> None:
    """A pulled cable is not told as DNS, though that fails first; what fails without DNS keeps its word."""
    silent, refused = socket.gaierror(socket.EAI_AGAIN, "try again"), ConnectionRefusedError()
    assert (Cause.UNREACHABLE, "no default route") == of_attempt(silent, way_out=False)
    assert (Cause.DNS, str(silent)) == of_attempt(silent, way_out=True)
    assert Cause.REFUSED == of_attempt(refused, way_out=False)[0]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (0x87, Cause.NOT_AUTHORISED),
        (0x88, Cause.BUSY),
        (0x8B, Cause.SHUTDOWN),
        (0x8D, Cause.KEEPALIVE),
        (0x8E, Cause.TAKEN_OVER),
        (0x95, Cause.PROTOCOL),
        (0x80, Cause.LOST),
    ],
)
def test_each_reason_code_has_its_word(code: int, cause: Cause) -> None:
    """The same, for what the broker says itself."""
    assert cause == of_reason(code)
