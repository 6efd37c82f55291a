"""The words that may leave the kit: those of the agent's own sources, and of the programs around it.

A word that is in here tells nothing about the place, its people or its secrets, because it was there before
the kit was.
"""

from __future__ import annotations

import errno
import os
import re
from functools import cache
from pathlib import Path

import agent

_SYSTEMD = """
been booted operate
Starting Started Stopping Stopped Reloading Reloaded Failed Main process exited dumped killed code status
result with signal timeout watchdog core exit success failure exec condition oom kill start limit hit
resources protocol Scheduled restart job counter is at Consumed CPU time over wall clock memory peak swap
Deactivated successfully Unit entered state Killing Sending SIGKILL SIGTERM SIGABRT SIGINT SIGSEGV SIGBUS
remaining after final State Stop timed out Aborting Service Hold off Triggering dependencies Dependency
for active inactive activating deactivating dead running failed auto on abnormal always loaded enabled
disabled static masked drop in override conf
"""
_KERNEL = """
mmc mmcblk sd sda nvme EXT ext fs error errors warning inode block bad header checksum invalid remounting
filesystem read only mounted recovery complete journal aborted Aborting I O request failed retrying
timeout waiting hardware interrupt card stuck busy switch status sending command reset voltage Under
undervoltage detected normalised hwmon throttled frequency capped temperature thermal zone critical Out of
memory Killed process total vm anon rss file shmem oom reaper reaped now usb new high speed full device
number disconnect using driver descriptor address brcmfmac wlan eth link becomes ready down up carrier
lost duplex Mbps unicam imx ov csi rp1 cfe dma cma alloc alloc_contig_range PFNs watchdog did not stop
hung task blocked for more than seconds segfault at ip sp likely on bcm bcm2835 v3d vc sdhci dwc2 xhci hcd
raspberrypi firmware clk clock tainted Call trace unable to handle kernel associated authenticated
deauthenticated ssid bssid reason superblock whilst writing paging page allocation failure order mode node
cpu cpus stall rcu self sched
"""
_LIBRARIES = """
certificate verify failed unable to get local issuer self signed in chain has expired not yet valid
Hostname mismatch hostname doesn't match alert unknown ca unexpected eof while reading wrong version
number handshake bad decryption sslv tlsv tls ssl SSL error EOF occurred violation of record layer failure
internal protocol shutdown database disk image malformed is locked file a full or open attempt write
readonly no such table column constraint UNIQUE NOT NULL TRIGGER query aborted interrupted Name service
known Temporary name resolution nodename nor servname provided Traceback most recent call last During
handling the above exception another was direct cause following Invalid data found when processing input
stream frame packet decode decoding concealing corrupt missing reference picture non existing PPS
referenced SPS header damaged timeout Immediate exit requested Server returned Not Found Unauthorized
Forbidden Bad Request option codec parameters bytestream h264 hevc mjpeg yuv420p yuvj420p rtsp rtp udp tcp
http mp4 mov
"""
_SYSTEM = """
vd Debian GNU Linux Raspbian Raspberry Pi Model Rev Plus Zero Compute Module bookworm trixie bullseye aarch64
armv x86 generic rpi rt SMP PREEMPT etc usr lib var run tmp dev proc sys bin sbin share media mnt boot
home root opt python dist site packages local ext4 vfat tmpfs overlay squashfs btrfs xfs ro rw noatime
relatime nosuid nodev noexec deb discard commit data ordered errors remount lo eth wlan wwan usb enp ens
ttyUSB
"""
_EXAMPLES = {"odesa", "kyivskyi", "kyiv", "kovalenko"}
"""Places and people that our own texts name as examples: on a kit they may be the real ones."""


@cache
def vocabulary() -> frozenset[str]:
    """Every word, in lower case."""
    sources = (path.read_text(encoding="utf-8") for path in Path(agent.__file__).parent.rglob("*.py"))
    system = (os.strerror(number) for number in errno.errorcode)
    builtin = dir(__import__("builtins"))
    texts = (*sources, *system, *builtin, _SYSTEMD, _KERNEL, _LIBRARIES, _SYSTEM)
    return frozenset(word for text in texts for word in words(text)) - _EXAMPLES


def words(text: str) -> set[str]:
    """The runs of letters in a text, each as it stands and in its parts (`ValueError`: value, error)."""
    found = set()
    for run in re.findall(r"[^\W\d_]+", text):
        found.add(run.lower())
        found |= {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", run)}
    return found
