"""A city's store of releases as a program: `kit_store.py DIRECTORY`, until it is ended.

It gives the files of DIRECTORY/releases over https, with the certificate of the city's broker.
"""

from __future__ import annotations

import ssl
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kit_machine import CITY_ADDRESS

PORT, FOLDER = 443, "releases"


def main(directory: Path) -> None:
    """Serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "broker.pem", directory / "broker.key")
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory / FOLDER))
    with ThreadingHTTPServer((CITY_ADDRESS, PORT), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
