"""What a kit's system is told: rendered whole, and content are those who will read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kitcards import KIT, LTE_PASSWORD, PIN, SSID, TOML, USER_CA, rendered, write_city
from parsers import parse, unpacked, yaml

from agent.app.board import PORT
from agent.card.firmware import SOURCE, CmdlinePlan, Rendered, with_fragment
from agent.card.kits import Kits, Secrets
from agent.card.template import PLACE, fill
from agent.errors import ConfigError
from agent.kitid import check_kit_id

PLAIN = TOML.split("[camera]", maxsplit=1)[0]  # no Wi-Fi, no modem
IMAGE_CMDLINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait "
    "quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n"
)


@pytest.fixture
def whole(tmp_path: Path) -> Rendered:
    return rendered(tmp_path)


def laid_out(files: Rendered, directory: Path) -> Path:
    """The root's files in a directory, as a kit has them."""
    for file in files.root:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    return directory


def text_of(files: Rendered, path: str) -> str:
    (found,) = [file.data.decode() for file in files.root if file.path == path]
    return found


def test_nothing_is_left_to_fill(whole: Rendered) -> None:
    """No placeholder of a template is in what a kit gets; what looks like one in a value is a value."""
    for file in whole.root:
        rest = PLACE.findall(file.data.decode())
        assert (["kit"] if "wifi" in file.path else []) == rest, file.path
    assert [] == [name for text in whole.boot.values() for name in PLACE.findall(text)]


def test_each_template_is_rendered_once(whole: Rendered) -> None:
    """What lies in the directory is what a kit gets, and nothing else."""
    names = {
        str(path.relative_to(SOURCE / "root")) for path in (SOURCE / "root").rglob("*") if path.is_file()
    }
    assert names == {file.path for file in whole.root}
    boot = {path.name for path in (SOURCE / "boot").iterdir()}
    assert boot == {*whole.boot, "cmdline.toml", "partition"}


def test_the_same_twice(tmp_path: Path, whole: Rendered) -> None:
    """A card that is made again gets the same files."""
    assert rendered(tmp_path) == whole


def test_secrets_are_roots_alone(whole: Rendered) -> None:
    """What holds a password is read by root only; NetworkManager and sudo insist on their modes."""
    modes = {file.path: file.mode for file in whole.root}
    for path, mode in modes.items():
        wanted = 0o600 if "system-connections" in path else 0o440 if "sudoers" in path else 0o644
        assert wanted == mode, path
    assert {
        f"etc/NetworkManager/system-connections/{n}.nmconnection" for n in ("ethernet", "wifi", "lte")
    } <= set(modes)


def test_every_setting_has_its_reason() -> None:
    """In each file that a kit gets a comment stands before the first setting, and before most others."""
    for path in SOURCE.rglob("*"):
        if path.is_file() and path.suffix != ".pub" and "backbone" not in path.parts:
            lines = path.read_text(encoding="utf-8").splitlines()
            assert any(line.lstrip().startswith("#") for line in lines[:2]), path


# --- the real parsers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TOML, PLAIN], ids=["everything", "the least"])
def test_nft_takes_the_firewall(tmp_path: Path, text: str) -> None:
    """The kernel's own tool accepts the rules, overlapping networks and empty sets included."""
    nft = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin")
    if nft is None:
        pytest.skip("nft is not installed (Debian: nftables)")
    path = laid_out(rendered(tmp_path, text), tmp_path / "root") / "etc/nftables.conf"
    alone = [] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    done = subprocess.run([*alone, nft, "-c", "-f", path], capture_output=True, text=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_sshd_takes_its_settings(tmp_path: Path, whole: Rendered) -> None:
    """Sshd has no objection; a technician comes to the doctor alone, a steward to the page, too."""
    root = laid_out(whole, tmp_path / "root")
    key = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    config = tmp_path / "sshd_config"
    text = (
        (root / "etc/ssh/sshd_config.d/60-stairwell.conf")
        .read_text()
        .replace(" /etc/ssh/", f" {root}/etc/ssh/")
    )
    config.write_text(f"HostKey {key}\n{text}")
    for user, command in (("technician", "/usr/bin/stairwell doctor"), ("steward", "none")):
        said = parse("sshd", "-T", "-f", config, "-C", f"user={user},host=h,addr=10.77.0.5")
        assert f"forcecommand {command}\n" in said
        for line in (
            "passwordauthentication no",
            "permitrootlogin no",
            "authorizedkeysfile none",
            "maxauthtries 3",
        ):
            assert f"{line}\n" in said
        tunnel, to = ("local", f"127.0.0.1:{PORT}") if user == "steward" else ("no", "any")
        assert f"allowtcpforwarding {tunnel}\n" in said
        assert f"permitopen {to}\n" in said


def test_the_citys_key_is_one_of_sshs(tmp_path: Path, whole: Rendered) -> None:
    """ssh-keygen reads the CA's key from the file that sshd will read."""
    path = laid_out(whole, tmp_path / "root") / "etc/ssh/stairwell_user_ca.pub"
    done = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert "(ED25519)" in done.stdout


def test_chronyd_takes_its_settings(tmp_path: Path, whole: Rendered) -> None:
    """Chronyd reads them all, and its servers are the city's only."""
    said = parse("chronyd", "-p", "-f", laid_out(whole, tmp_path / "root") / "etc/chrony/chrony.conf")
    assert ["server ntp.city.example iburst", "server 10.77.0.2 iburst"] == re.findall(
        r"^(?:server|pool) .*$", said, re.MULTILINE
    )


@pytest.mark.parametrize("name", ["ethernet", "wifi", "lte"])
def test_networkmanager_takes_a_connection(whole: Rendered, name: str) -> None:
    """NetworkManager's own library reads the file, and understands what was meant, odd characters too."""
    text = text_of(whole, f"etc/NetworkManager/system-connections/{name}.nmconnection")
    said = parse("nmcli", "--offline", "connection", "modify", "connection.id", "seen", text=text)
    assert "id=seen\n" in said
    meant = {
        "ethernet": ["type=ethernet", "autoconnect-priority=100"],
        "wifi": [f"ssid={';'.join(map(str, SSID.encode()))};", "psk=\\spass \\\\ word=1;", "pmf=2"],
        "lte": ["apn=internet", "username=lte", f"password={LTE_PASSWORD}", f"pin={PIN}", "metered=1"],
    }
    for line in meant[name]:
        assert f"{line}\n" in said, said


def test_cloud_init_takes_its_settings(whole: Rendered) -> None:
    """user-data fits the schema of Debian's cloud-init, whole: no key that it does not know."""
    folder = unpacked() / "usr/lib/python3/dist-packages/cloudinit/config/schemas"
    schema = json.loads((folder / "schema-cloud-config-v1.json").read_text())
    data = yaml(whole.boot["user-data"])
    jsonschema.Draft4Validator(schema).validate(data)
    known = {
        key
        for part in schema["allOf"]
        for key in schema["$defs"][part["$ref"].split("/")[-1]].get("properties", {})
    }
    assert set(data) <= known
    assert whole.boot["user-data"].startswith("#cloud-config\n")
    assert {"config": "disabled"} == yaml(whole.boot["network-config"])["network"]
    assert {"instance-id": "card-1", "local-hostname": f"stairwell-{KIT}"} == yaml(whole.boot["meta-data"])


def test_sudo_takes_its_rule(tmp_path: Path, whole: Rendered) -> None:
    """Visudo finds no mistake: one would lock everybody out. What the page for drawing needs is kept."""
    path = laid_out(whole, tmp_path / "root") / "etc/sudoers.d/60-stairwell"
    parse("visudo", "--check", "--strict", "--file", path)
    assert 'Defaults:steward env_keep += "SSH_CONNECTION"' in path.read_text("utf-8").splitlines()


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_peoples_accounts(tmp_path: Path, whole: Rendered) -> None:
    """Two accounts with a shell and without a password, in the groups that let them see."""
    root = laid_out(whole, tmp_path / "root")
    for name in ("etc/sysusers.d/stairwell-people.conf", SOURCE.parent / "systemd/sysusers.d/stairwell.conf"):
        subprocess.run(["systemd-sysusers", f"--root={root}", root / name], check=True, capture_output=True)
    for user in ("steward", "technician"):
        assert re.search(rf"^{user}:!\*?:", (root / "etc/shadow").read_text(), re.MULTILINE)
        assert re.search(rf"^stairwell:.*\b{user}\b", (root / "etc/group").read_text(), re.MULTILINE)


def test_sysctl_names_what_there_is(whole: Rendered) -> None:
    """Each key is one of the kernel's, each value as long as a number or a program."""
    for line in text_of(whole, "etc/sysctl.d/60-stairwell.conf").splitlines():
        if not line.startswith("#"):
            key, value = line.split(" = ")
            path = Path("/proc/sys", *key.split("."))
            assert path.exists() or key in {"kernel.yama.ptrace_scope", "net.core.bpf_jit_harden"}, key
            assert re.fullmatch(r"\d+|\|/bin/false", value)


@pytest.mark.parametrize("name", ["begin", "install", "firstrun.sh", "partition"])
def test_shell_scripts(tmp_path: Path, name: str) -> None:
    """What root runs at first boot has none of the mistakes that shellcheck knows."""
    (tmp_path / name).write_text(rendered(tmp_path, TOML + "[root]\nread_only = true\n").boot[name])
    done = subprocess.run(["shellcheck", tmp_path / name], capture_output=True, text=True, check=False)
    assert "" == done.stdout


# --- boot partition -------------------------------------------------------------------------------------


def test_the_fragment_is_put_once(whole: Rendered) -> None:
    """The image's config.txt stays, ours follows it; a card that is made again has it once."""
    image = "dtparam=audio=on\n[cm4]\notg_mode=1\n"
    once = with_fragment(image, whole.boot["config.txt"])
    assert once.startswith(image)
    assert once == with_fragment(once, whole.boot["config.txt"])
    settings = [line for line in once.splitlines() if line and not line.startswith("#")]
    assert ["[all]", "camera_auto_detect=0", "dtoverlay=imx708"] == settings[3:6]
    assert "dtoverlay=disable-wifi" not in settings


def test_the_radio_is_off_without_wifi(tmp_path: Path) -> None:
    """A kit on a cable has no radio, no modem, and no file that speaks of them."""
    files = rendered(tmp_path, PLAIN)
    assert "dtoverlay=disable-wifi\n" in files.boot["config.txt"]
    assert "camera_auto_detect=1\n" in files.boot["config.txt"]
    connections = [f.path for f in files.root if "system-connections" in f.path]
    assert ["etc/NetworkManager/system-connections/ethernet.nmconnection"] == connections


@pytest.mark.parametrize("cloud_init", [True, False])
def test_the_command_line(whole: Rendered, cloud_init: bool) -> None:
    """One line; root and the image's own first boot stay, the serial login goes; the same when done twice."""
    plan = whole.plan(cloud_init=cloud_init)
    once = plan.apply(IMAGE_CMDLINE)
    assert once == plan.apply(once)
    assert 1 == once.count("\n")
    words = once.split()
    assert {"root=PARTUUID=4e639091-02", "rootwait", "console=tty1"} <= set(words)
    assert {"cgroup_enable=memory", "psi=1"} <= set(words)  # what limits and strain are read from
    assert "init=/usr/lib/raspberrypi-sys-mods/firstboot" in words
    assert "cfg80211.ieee80211_regdom=UA" in words
    assert not any(word.startswith("console=serial0") for word in words)
    assert cloud_init == ("network-config=disabled" in words)
    assert cloud_init != ("systemd.run=/boot/firmware/firstrun.sh" in words)


def test_words_of_others_go(whole: Rendered) -> None:
    """What another tool has put there for a first boot of its own is taken away."""
    left = CmdlinePlan(("systemd.run", "splash"), ()).apply("splash systemd.run=/boot/x.sh a=b\n")
    assert "a=b\n" == left
    assert whole.plan(cloud_init=True).apply("systemd.run=/boot/x.sh\n").count("systemd.run") == 0


# --- templates and settings -----------------------------------------------------------------------------


def test_a_placeholder_that_nothing_fills() -> None:
    """It is an error with its name, and with those that there are."""
    with pytest.raises(ConfigError, match=r"motd: no value for @b@, @d@. Fix: known are a, c"):
        fill("@a@ @b@ @d@", {"a": "1", "c": "2"}, "motd")


def test_lines_of_a_value() -> None:
    """A placeholder alone on its line may be several lines or none; within a line it may not."""
    assert "1\n2\nx\n" == fill("@a@\n@b@\nx", {"a": "1\n2", "b": ""}, "motd")
    with pytest.raises(ConfigError, match=r"motd: @a@ is several lines"):
        fill("x @a@", {"a": "1\n2"}, "motd")


def test_values_are_not_templates() -> None:
    """A value that looks like a placeholder stays what it is."""
    assert "@b@ 2\n" == fill("@a@ @b@", {"a": "@b@", "b": "2"}, "motd")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('ntp = ["ntp.city.example", "10.77.0.2"]', "", "time.ntp: needed, and not set"),
        ('ntp = ["ntp.city.example"', 'ntp = ["a b"', "time.ntp.0 = 'a b': string should match pattern"),
        ("[camera]", "[kamera]", "kamera: unknown key. Fix: did you mean camera?"),
        ("overlay =", "overly =", "camera.overly: unknown key. Fix: did you mean overlay?"),
        ('"imx708"', '"imx708\\ngpio=1"', "camera.overlay = 'imx708\\ngpio=1': string should match"),
        ('"10.77.0.0/16"', '"10.77.0.1/16"', "firewall.management.0"),
        ('"10.77.0.0/16"', '"anywhere"', "firewall.management.0"),
        (USER_CA, "ssh-rsa AAAAB3NzaC1yc2E=", "not the line of a public key file"),
        (USER_CA, USER_CA + "\\nssh-ed25519 AAAA", "ssh.user_ca"),
        ('psk_file = "wifi.psk"', "", "ssid and psk_file belong together"),
        ('apn = "internet"', "", "set apn, too"),
        ("Під'їзд=1", "а" * 17, "a network's name has 32 bytes at most"),
        ("[wifi]", "[wifi]\ncountry = 'Ukraine'", "wifi.country = 'Ukraine'"),
        ("[time]", "[time]\nzone = 'Europe/Odesa'", "time.zone = 'Europe/Odesa': there is no such time zone"),
        ("[time]", "[time", "no valid TOML"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """A wrong key is named with its value and its fix; nothing is rendered."""
    assert old in TOML
    with pytest.raises(ConfigError) as caught:
        Kits.read(write_city(tmp_path, TOML.replace(old, new, 1)))
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'kits.toml'}: ")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("wifi.psk", "short7!", "does not hold a WPA passphrase"),
        ("wifi.psk", "two lines\nof it", "does not hold a WPA passphrase"),
        ("sim.pin", "12a4", "does not hold a PIN"),
        ("lte.password", "", "does not hold a password"),
        ("wifi.psk", None, "cannot be read (No such file or directory)"),
    ],
)
def test_secrets_that_are_none(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    """The file is named; what stands in it is not repeated."""
    kits = Kits.read(write_city(tmp_path))
    path = tmp_path / name
    path.write_text(content, encoding="utf-8") if content is not None else path.unlink()
    with pytest.raises(ConfigError) as caught:
        Secrets.read(kits, tmp_path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert not content or content not in str(caught.value)


def documented() -> dict[str, Any]:
    sample = (SOURCE / "kits.toml").read_text(encoding="utf-8")
    return tomllib.loads(re.sub(r"^#(?=[a-z_]+ = )", "", sample, flags=re.MULTILINE))


def test_the_sample_documents_every_key() -> None:
    """Every section and key stands in it, in the order of the settings, with the default, and no other."""
    shown = documented()
    assert list(Kits.model_fields) == list(shown)
    for section, field in Kits.model_fields.items():
        fields: dict[str, Any] = getattr(field.annotation, "model_fields")  # noqa: B009 # a section has them
        assert list(fields) == list(shown[section]), section
        for key, info in fields.items():
            comment = comment_of(section, key)
            assert info.is_required() == ("Needed" in comment), f"{section}.{key}"
            assert (info.default is None) == ("No default" in comment), f"{section}.{key}"
            if not info.is_required() and info.default is not None:
                default = list(info.default) if isinstance(info.default, tuple) else info.default
                assert default == shown[section][key], f"{section}.{key}"


def comment_of(section: str, key: str) -> str:
    body = (SOURCE / "kits.toml").read_text(encoding="utf-8").split(f"\n[{section}]\n")[1].split("\n[")[0]
    (comment,) = re.findall(rf"((?:^# .*\n)+)^#{key} = ", body, re.MULTILINE)
    return str(comment)


def test_the_kit_of_these_tests() -> None:
    """It has a valid id."""
    assert KIT == check_kit_id(KIT)
