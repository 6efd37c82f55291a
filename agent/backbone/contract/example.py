"""One valid example of every message."""

from __future__ import annotations

from typing import Any


def _stamped(mono: float, ts: str | None) -> dict[str, Any]:
    return {
        "v": 1,
        "dev": "k7f3k2qx4m",
        "boot": "3b0f6c1e",
        "mono": mono,
        "ts": ts,
        "clk": "ntp" if ts else "none",
    }


def _numbered(seq: int, mono: float, ts: str | None) -> dict[str, Any]:
    return {**_stamped(mono, ts), "stream": "9f2c1a7e", "seq": seq}


_SITE = {
    "city": "odesa",
    "district": "kyivskyi",
    "precinct": "op-12-d3",
    "building": "bld-004217",
    "entrance": "2",
    "floor": 1,
}
_EVENT = "01KAMZ6T3QW8E2R5T7Y9V1J3P5"
_CLIP = "01KAMZ7A0000000000000000AA"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_REQ = "01KAMZ8B4Z9S7R5QW3E1T2Y6V8"
_ORDER_SIG = "3fAsvaaPOCmQ8Cix/cIiO1Ka3lek4ou134ehadi7ieITaG3Mtxt6ZobFmI1BIyOyTncT3vA6hFcE0HmE97zqBQ=="
"""By the key whose secret is 32 bytes of 0x01: whoever writes the platform can compare with their own."""
_NOW = "2026-11-22T00:31:05.412Z"

EXAMPLES: dict[str, dict[str, Any]] = {
    "st.birth": {
        **_stamped(86412.337, _NOW),
        "stream": "9f2c1a7e",
        "state": "online",
        "session": 412,
        "sw": "0.1.0",
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "cam": "rtsp",
        "caps": ["person", "tamper", "clip", "snap"],
        "cfg_rev": 0,
        "seal": "age",
        "key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "seq_next": 48214,
        "seq_oldest": 40110,
        "reset": "power",
        "in_order": False,
        "detector": "ssdlite",
        "site": {**_SITE, "oblast": "51"},
    },
    "st.stopped": {
        **_stamped(86412.337, _NOW),
        "stream": "9f2c1a7e",
        "state": "stopped",
        "why": "shutdown",
        "session": 412,
    },
    "st.will": {
        "v": 1,
        "dev": "k7f3k2qx4m",
        "state": "offline",
        "why": "lost",
        "session": 412,
        "boot": "3b0f6c1e",
    },
    "hb": {
        **_stamped(86412.337, _NOW),
        "stream": "9f2c1a7e",
        "n": 2880,
        "up": 86400.2,
        "fps": [9.9, 10.0],
        "inf_ms": [78.0, 121.0],
        "lastframe": 0.1,
        "enc": 25.0,
        "q": {"n": 0, "dropped": 0},
        "disk": {"free": 11.2, "share": 0.41, "errors": 0, "life": 0.1},
        "cpu": 41.0,
        "t": 61.3,
        "thr": 0,
        "mem": 212.0,
        "memfree": 0.43,
        "pace": 1.0,
        "preroll": 1.0,
        "net": {"rtt": 18.0, "dev": "wlan0", "rssi": -61},
        "ev24": 131,
        "clips": {"n": 96, "mb": 410.5},
        "wear": {"mb": 1904.0, "h": 24.0},
        "drop": {"frames": 12, "packets": 0, "gops": 0, "writes": 0},
        "seal": "age",
        "alm": ["camera.no_frames"],
    },
    "evt": {
        **_numbered(48213, 86412.337, _NOW),
        "site": _SITE,
        "id": _EVENT,
        "phase": "end",
        "rev": 3,
        "type": "person",
        "t0": "2026-11-22T00:30:48.200Z",
        "mono0": 86395.125,
        "t1": _NOW,
        "dur": 17.2,
        "score": 0.81,
        "top": 0.93,
        "count": 1,
        "box": [0.41, 0.22, 0.19, 0.55],
        "zones": ["door"],
        "dir": "up",
        "model": "ssdlite",
        "replay": False,
    },
    "snap": {
        **_numbered(48214, 86412.51, _NOW),
        "event": _EVENT,
        "box": [0.41, 0.22, 0.19, 0.55],
        "bytes": 18211,
        "sha256": _HASH,
        "width": 480,
        "height": 270,
        "content_type": "image/jpeg",
    },
    "clip.available": {
        **_numbered(48215, 95.2, None),
        "clip": _CLIP,
        "state": "available",
        "events": [_EVENT],
        "t0": None,
        "mono0": 61.4,
        "dur": 27.2,
        "bytes": 4812331,
        "sha256": _HASH,
        "codec": "h264",
        "width": 1280,
        "height": 720,
        "part": 1,
        "sealed": {"fmt": "age", "keys": ["0b7e53d09c0fb75f", "5c1a3f0e9d2b4877"]},
        "truncated": False,
        "manifest": _HASH,
        "prev": _HASH,
        "sig": "5VZDAMNgrHKQhuLMgG6CijFrg1AX1K0ImFoOT1MEBrU6tXZLLMnnTCLhfWvh0cJhyMsPSIvnThn+XXvNZBXzDA==",
    },
    "clip.uploaded": {
        **_numbered(48216, 86412.337, _NOW),
        "clip": _CLIP,
        "state": "uploaded",
        "req": _REQ,
        "host": "evidence.odesa.example",
        "bytes": 4812331,
        "sha256": _HASH,
    },
    "clip.erased": {
        **_numbered(48216, 86412.337, _NOW),
        "clip": _CLIP,
        "state": "erased",
        "why": "retention",
    },
    "alm": {
        **_numbered(48217, 86412.337, _NOW),
        "code": "camera.no_frames",
        "sev": "major",
        "state": "raised",
        "since": _NOW,
        "mono0": 86402.1,
        "text": {"uk": "камера не дає кадрів 10 с", "en": "no pictures from the camera for 10 s"},
        "fix": {"uk": "перевірте шлейф камери", "en": "check the camera's cable"},
    },
    "alm.cleared": {
        **_numbered(48218, 86500.0, _NOW),
        "code": "camera.no_frames",
        "state": "cleared",
    },
    "stat": {
        **_numbered(48219, 86412.337, _NOW),
        "t0": "2026-11-21T23:31:05.312Z",
        "mono0": 82812.237,
        "observed_min": 60.0,
        "motion_min": 7.42,
        "person_min": 4.1,
        "visits": 23,
        "dark_min": 0.0,
        "covered_min": 0.0,
        "muted": 1,
        "sharpness": [4.8, 5.6, 6.1],
        "brightness": [71.2, 93.4, 95.0],
        "grid": [*[[0.0] * 8] * 5, [0.0, 0.0, 0.0021, 0.0312, 0.0044, 0.0, 0.0, 0.0], *[[0.0] * 8] * 2],
        "lines": {"stairs": {"up": 12, "down": 9}},
    },
    "accept": {
        **_numbered(48231, 90211.004, _NOW),
        "by": "Оксана Коваленко",
        "site": {
            "oblast": "51",
            "city": "odesa",
            "district": "kyivskyi",
            "building": "b-17",
            "entrance": "2",
        },
        "sw": "0.1.0",
        "key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "checks": "61 ok, 1 warn, 0 fail, 4 skip: net.signal",
        "passed": True,
        "steps": [
            {"step": "aim", "state": "passed", "ts": _NOW, "by": "oksana"},
            {"step": "view", "state": "passed", "ts": _NOW, "by": "oksana"},
            {"step": "reference", "state": "passed", "ts": _NOW, "by": "oksana"},
            {"step": "walk", "state": "passed", "ts": _NOW, "by": "oksana"},
            {
                "step": "power",
                "state": "waived",
                "ts": _NOW,
                "by": "oksana",
                "why": "shares its supply with the lift",
            },
        ],
    },
    "gap": {
        **_numbered(48220, 86501.5, _NOW),
        "from": 40110,
        "to": 40125,
        "why": "full",
        "count": 4,
        "ranges": [[40110, 40112], [40125, 40125]],
    },
    "cmd": {
        "v": 1,
        "cmd": "clip/upload",
        "args": {
            "clip": _CLIP,
            "url": "https://evidence.odesa.example/clips/4812331?X-Amz-Signature=fe5f80f77d5fa3be",
            "headers": {},
        },
        "req": _REQ,
        "by": "dispatch-3",
        "exp": "2026-11-22T00:36:05.000Z",
        "nonce": "AAECAwQFBgcICQoLDA0ODw",
        "target": "bm/v1/51/odesa/kyivskyi/k7f3k2qx4m/cmd/clip/upload",
        "key": "34750f98bd59fcfc",
        "sig": _ORDER_SIG,
    },
    "cmd.group": {"v": 1, "cmd": "echo", "args": {"text": "?"}, "req": _REQ, "by": "dispatch-3"},
    "res": {
        **_stamped(86413.012, _NOW),
        "req": _REQ,
        "cmd": "clip/upload",
        "status": "progress",
        "progress": 0.42,
    },
    "cfg.rep": {
        **_stamped(86520.25, _NOW),
        "rev": 6,
        "seen": 7,
        "state": "refused",
        "why": "wrong-keys",
        "detail": "nothing of revision 7 was applied",
        "errors": [
            {"key": "clips.retention_h", "why": "200: input should be less than or equal to 168"},
            {"key": "clips.seal", "why": "may be set on the kit only"},
        ],
        "values": {
            "clips": {"retention_h": 72.0, "pre_roll_s": 10.0},
            "loitering": {"enabled": False, "dwell_s": 120.0, "zones": []},
        },
    },
    "cfg.des": {
        "v": 1,
        "rev": 7,
        "values": {
            "clips": {"retention_h": 48.0, "pre_roll_s": 5.0},
            "loitering": {"enabled": True, "dwell_s": 300.0, "zones": ["landing"]},
            "view": {
                "zones": [
                    {
                        "name": "landing",
                        "polygon": [[0.1, 0.5], [0.9, 0.5], [1.0, 1.0], [0.0, 1.0]],
                        "persons": "include",
                    }
                ]
            },
        },
        "target": "bm/v1/51/odesa/kyivskyi/k7f3k2qx4m/cfg/des",
        "nonce": "3q2-7wAAAAAAAAAAAAAAAA",
        "key": "34750f98bd59fcfc",
        "sig": "dC63uv4Gu9h97Mvn8XeDw5UjoOTW0tFa8hNXFRMSinjCUUuWLPm78QpIefea1KmRfz6s6io4IHN8ihPJiRq5Ag==",
    },
    "ack": {"stream": "9f2c1a7e", "seq": 48211},
}
"""One valid example of every message."""
