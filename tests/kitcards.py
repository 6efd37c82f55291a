"""A city's shared settings for cards, complete, with everything switched on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.card.firmware import Rendered, render
from agent.card.kits import Kits, Secrets

if TYPE_CHECKING:
    from pathlib import Path

KIT = "k7f3k2qx4m"
USER_CA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDfJ9W1rVvEwGbRHFmQ4xdVmSg0kHBMuoX2Y4dJQGmVz city-user-ca"
SSID = "Під'їзд=1 @kit@"
PSK, LTE_PASSWORD, PIN = " pass \\ word=1;", "secret", "0042"

TOML = f"""
[time]
ntp = ["ntp.city.example", "10.77.0.2"]
[firewall]
management = ["10.77.0.0/16", "fd00:77::/48"]
servers = ["10.77.0.10/32", "10.77.0.0/28"]
cameras = ["192.168.10.0/24"]
[ssh]
user_ca = "{USER_CA}"
[camera]
overlay = "imx708"
[wifi]
ssid = "{SSID}"
psk_file = "wifi.psk"
[lte]
apn = "internet"
user = "lte"
password_file = "lte.password"
pin_file = "sim.pin"
"""


def write_city(directory: Path, text: str = TOML) -> Path:
    """kits.toml in `directory`, with the secrets that it names beside it."""
    for name, secret in (("wifi.psk", PSK), ("lte.password", LTE_PASSWORD), ("sim.pin", PIN)):
        (directory / name).write_text(secret + "\n", encoding="utf-8")
    path = directory / "kits.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rendered(directory: Path, text: str = TOML) -> Rendered:
    path = write_city(directory, text)
    kits = Kits.read(path)
    return render(kits, Secrets.read(kits, directory), KIT, "card-1")
