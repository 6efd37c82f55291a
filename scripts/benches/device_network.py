"""What a network does to the link of a kit: see network_faults.py for what is promised of each fault.

The link, its outbox and its watch are the agent's, with the agent's own waits; broker, ACL and certificates
are the reference's; kernel, TCP, DNS and TLS are real. All is in network namespaces that end with the bench.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError
from findings import Finding
from network_faults import FAULTS, Told, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAULTS", "Told", "findings_of", "judge"]

CITY = Path(__file__).with_name("network_city.py")
PROGRAMS = {"unshare": "util-linux", "ip": "iproute2", "nft": "nftables", "dnsmasq": "dnsmasq-base"}


def findings_of(*arguments: str) -> Iterator[Finding]:
    """Each fault, as it is over; `arguments` as network_city.py takes them.

    Raises:
        StairwellError: a program is missing, the rights are, or it ended with an error.
    """
    if os.geteuid() != 0:
        raise StairwellError("network namespaces need root's rights", fix="run it as root")
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=path) is None:
            raise StairwellError(f"{program} is not installed", fix=f"apt-get install {package}")
    command = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    command += [sys.executable, CITY, *arguments]
    environment = {**os.environ, "PATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as city:
        try:
            for line in city.stdout or ():
                yield Finding("network", "netns", **json.loads(line))
        finally:
            city.terminate()
    if city.returncode != 0:
        raise StairwellError(f"network: ended with {city.returncode}", fix="see what it says above")
