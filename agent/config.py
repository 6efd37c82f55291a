"""Settings: what can be set, its limits, default and meaning. Where values come from is in `config_layers`.

Everything is checked whole before anything starts: an unknown key, a wrong type or a value out of range
raises ConfigError with the place, the value and the fix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from agent.agekey import check_recipient
from agent.config_camera import Camera
from agent.config_fields import Fraction01, Host, HttpsUrl, PlatformKey, Polygon, Receipt, Slug
from agent.config_fields import Section as _Section
from agent.config_layers import NO_ZONE, Layers
from agent.config_rules import AfterHours, Gathering, Loitering, View, named_zones
from agent.config_words import UnfitError
from agent.kitid import check_kit_id
from agent.words import say

DEFAULT_PATH = Path("/etc/stairwell/agent.toml")

Text200 = Annotated[str, Field(max_length=200)]
"""As long as a name may be in a message."""


class Kit(_Section):
    """Who this kit is."""

    id: Annotated[str, AfterValidator(check_kit_id)] = Field(
        default="0000000000", description="10 characters of Crockford base32, the last a check character"
    )


class Site(_Section):
    """Where the kit hangs. The first three are topic levels, the rest travels in payloads."""

    oblast: Annotated[str, Field(pattern=r"^[0-9]{2}$")] = Field(
        default="00", description="ISO 3166-2:UA number, e.g. 51 (Odesa)"
    )
    city: Slug = Field(default="city", description="topic level: lower case Latin letters, digits, dashes")
    district: Slug = Field(default="district", description="topic level, as city")
    katotth: Text200 = Field(default="", description="KATOTTH code of the place")
    precinct: Text200 = Field(default="", description="police precinct that answers for the building")
    building: Text200 = Field(default="", description="building, as the city's register names it")
    entrance: Text200 = Field(default="", description="entrance (під'їзд)")
    floor: int | None = Field(default=None, description="floor; leave out when there is none to name")


class Capture(_Section):
    """Where pictures come from."""

    source: str = Field(
        default="/dev/video0",
        min_length=1,
        description="picamera:, rtsp://… (http, tcp, udp), a V4L2 device as /dev/video0, a video file, "
        "or synthetic:",
    )
    fps: float = Field(
        default=10.0, gt=0, le=60, description="analysed frames per second; recording keeps every frame"
    )
    loop: bool = Field(default=False, description="play a file again when it ends (soak tests)")
    reencode: bool = Field(
        default=False,
        description="encode again what already arrives as H.264; needed for privacy masks, costs a core",
    )
    bitrate_kbps: int = Field(
        default=2000, ge=100, le=20000, description="of our own encoder; below 100 hardware encoders hang"
    )
    gop_s: float = Field(
        default=1.0,
        ge=0.5,
        le=5,
        description="seconds from key frame to key frame of our own encoder: clips begin and end at one",
    )
    stall_after_s: float = Field(
        default=10.0, gt=0, description="no picture for this long: the source is reopened, an alarm raised"
    )
    reconnect_min_s: float = Field(default=1.0, gt=0, description="first wait before a lost source is tried")
    reconnect_max_s: float = Field(default=30.0, gt=0, description="longest wait between two tries")


class Mask(_Section):
    """An area burned black before anything sees it: a flat's door, a window."""

    name: Slug
    polygon: Polygon


class Privacy(_Section):
    """What the camera must never show."""

    masks: tuple[Mask, ...] = Field(default=(), description="[[privacy.masks]] tables with name and polygon")


class MotionSettings(_Section):
    """The motion stage. Its thresholds follow the measured noise: there is little to set."""

    sensitivity: float = Field(
        default=1.0, ge=0.25, le=4.0, description="divides the evidence that a block needs; 1 is right"
    )
    min_area: Fraction01 = Field(default=0.004, description="smallest moving area, share of the picture")


class DetectorSettings(_Section):
    """The person detector."""

    model: str = Field(default="ssdlite", description="a model shipped with the agent, or a path to a card")
    runtime: Literal["auto", "litert", "tflite"] = Field(
        default="auto",
        description="auto takes LiteRT and falls to tflite-runtime where only that is installed",
    )
    threads: int = Field(default=1, ge=1, le=4, description="CPU threads of one inference")
    threshold: Fraction01 | None = Field(
        default=None, description="score of a detection; default: the card's"
    )
    max_per_s: float = Field(default=10.0, gt=0, le=100, description="inference budget per second")
    scan_s: float = Field(
        default=5.0, gt=0, description="seconds between looks at the whole picture, motion or not"
    )


class TrackerSettings(_Section):
    """How detections become persons."""

    lost_s: float = Field(default=2.0, gt=0, description="a track without support for this long is dropped")
    person_score: Fraction01 = Field(default=0.5, description="median score that makes a track a person")
    min_hits: int = Field(default=2, ge=1, le=20, description="detections before a track may be a person")


class EventSettings(_Section):
    """The life of a person event."""

    quiet_s: float = Field(
        default=2.5,
        gt=0,
        description="an event ends after this long without a person; longer joins visits that follow close",
    )
    update_s: float = Field(default=5.0, gt=0, description="at most one update per event in this time")


class SceneSettings(_Section):
    """The state of the view."""

    hold_s: float = Field(default=5.0, gt=0, description="a state must last this long before it is believed")


class Clips(_Section):
    """Recording."""

    enabled: bool = Field(default=True, description="record clips of events")
    dir: Path | None = Field(default=None, description="where clips lie; default: clips/ in state.dir")
    seal: Literal["age", "none"] = Field(
        default="age",
        description='age seals to `recipients`; "none" is for development: a stolen card then shows all',
    )
    recipients: tuple[Annotated[str, AfterValidator(check_recipient)], ...] = Field(
        default=(),
        max_length=8,
        description="age1… keys that clips are sealed to, any of which opens them; without one the agent "
        "refuses to record",
    )
    pre_roll_s: float = Field(default=10.0, ge=0, le=60, description="kept from before the event")
    post_roll_s: float = Field(default=10.0, ge=0, le=60, description="recorded after the event")
    max_s: float = Field(default=120.0, ge=10, le=3600, description="a longer clip goes on in a next part")
    sync_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="longest stretch that a power cut may cost; shorter wears the card",
    )
    ring_mb: float = Field(default=24.0, ge=1, le=512, description="memory for the pre-roll at most")
    retention_h: float = Field(default=72.0, gt=0, le=168, description="a clip is deleted after this")
    max_mb: float = Field(
        default=8192.0, gt=0, description="all clips together at most, but for those on hold"
    )
    reserve_mb: float = Field(default=512.0, ge=0, description="kept free on the file system")

    @property
    def ring_bytes(self) -> int:
        """Memory for the pre-roll at most."""
        return int(self.ring_mb * 1e6)

    @property
    def refused(self) -> bool:
        """Whether nothing may be recorded: clips are to be sealed, and nobody is named to open them."""
        return self.seal == "age" and not self.recipients


class Backbone(_Section):
    """The MQTT broker of the city."""

    host: Host = Field(default="localhost", description="broker's name, as in its certificate")
    port: int = Field(default=8883, ge=1, le=65535, description="8883 with TLS")
    tls: bool = Field(default=True, description="false only for a broker on this very machine (tests, demo)")
    ca_file: Path | None = Field(default=None, description="certificates that may sign the broker's")
    cert_file: Path | None = Field(default=None, description="the kit's certificate")
    key_file: Path | None = Field(default=None, description="the kit's private key")
    password_file: Path | None = Field(
        default=None, description="file with the kit's password, for a broker that wants one beside TLS"
    )
    enrol_url: HttpsUrl | None = Field(
        default=None,
        description="where the certificate is renewed: the city's EST service, https://host:port",
    )
    keepalive_s: int = Field(default=30, ge=5, le=600, description="60 on LTE")
    heartbeat_s: float = Field(default=30.0, ge=1, le=3600, description="time between heartbeats")
    will_delay_s: int = Field(default=30, ge=0, le=3600, description="the broker waits so long with the will")
    session_expiry_s: int = Field(default=86400, ge=0, description="the broker keeps our session so long")
    delivery: Receipt = Field(
        default="puback",
        description="when a message counts as delivered: the platform's ack passed it, or the broker took it",
    )
    platform_keys: tuple[PlatformKey, ...] = Field(
        default=(), max_length=8, description="Ed25519 public keys, base64, whose signed orders the kit takes"
    )

    @model_validator(mode="after")
    def _tls_files(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise UnfitError(say("cert_file and key_file belong together: set both or none"))
        return self


class Outbox(_Section):
    """Messages not yet delivered."""

    max_rows: int = Field(default=50_000, ge=100, description="more are dropped by a fixed order, with a gap")
    max_mb: float = Field(default=64.0, gt=0, description="bytes of all rows at most")
    keep_h: float = Field(default=72.0, gt=0, description="delivered rows are kept so long for a resend")
    wait_h: float = Field(default=720.0, ge=1, description="what waits for longer is dropped, with a gap")


class State(_Section):
    """What the agent keeps."""

    dir: Path = Field(default=Path("/var/lib/stairwell"), description="database and clips")


class Passport(_Section):
    """What the kit's passport says of the people behind it; only they know."""

    controller: Text200 = Field(default="", description="who answers for the camera and its records")
    contact: Text200 = Field(default="", description="where people turn to: address, telephone, mail")
    purpose: Text200 = Field(default="", description="what the camera is for")
    basis: Text200 = Field(default="", description="the decision or law that it stands on")


class Support(_Section):
    """Who helps when a kit cannot be understood on the spot."""

    recipients: tuple[Annotated[str, AfterValidator(check_recipient)], ...] = Field(
        default=(),
        max_length=8,
        description="age1… keys that support bundles are sealed to; without one they are not sealed",
    )


class Update(_Section):
    """Whose releases the kit takes."""

    release_keys: tuple[PlatformKey, ...] = Field(
        default=(),
        max_length=8,
        description="Ed25519 public keys, base64, whose releases `stairwell update` takes; without one none",
    )


class Log(_Section):
    """What the agent tells its journal."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least severity")


class Settings(BaseModel):
    """Everything that can be set, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kit: Kit = Kit()
    site: Site = Site()
    capture: Capture = Capture()
    camera: Camera = Camera()
    privacy: Privacy = Privacy()
    motion: MotionSettings = MotionSettings()
    detector: DetectorSettings = DetectorSettings()
    tracker: TrackerSettings = TrackerSettings()
    events: EventSettings = EventSettings()
    view: View = View()
    loitering: Loitering = Loitering()
    gathering: Gathering = Gathering()
    after_hours: AfterHours = AfterHours()
    scene: SceneSettings = SceneSettings()
    clips: Clips = Clips()
    backbone: Backbone = Backbone()
    outbox: Outbox = Outbox()
    state: State = State()
    passport: Passport = Passport()
    support: Support = Support()
    update: Update = Update()
    log: Log = Log()

    @model_validator(mode="after")
    def _zones_exist(self) -> Self:
        known = [zone.name for zone in self.view.zones]
        for loc, name in named_zones(self.view, self.loitering, self.gathering, self.after_hours):
            if name not in known:
                raise PydanticCustomError(NO_ZONE, "no such zone", {"loc": loc, "name": name, "known": known})
        return self

    @property
    def clips_dir(self) -> Path:
        """Where clips lie."""
        return self.clips.dir or self.state.dir / "clips"


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Settings from `path` (defaults alone when None), `overrides` over the file, the environment over both.

    Raises:
        ConfigError: the file cannot be read or is no TOML, or a key or value is wrong; the text names each.
    """
    return settled(Layers.read(Settings, path, overrides))


def settled(layers: Layers) -> Settings:
    """The settings that the layers come to.

    Raises:
        ConfigError: a key or value is wrong; the text names each, and its `keys`.
    """
    try:
        return Settings(**layers.merged)
    except ValidationError as error:
        raise layers.explain(error, keys()) from None


def keys() -> dict[str, list[str]]:
    """Every section with its keys."""
    return {name: sorted(_section(name).model_fields) for name in Settings.model_fields}


def _section(name: str) -> type[BaseModel]:
    annotation = Settings.model_fields[name].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{name} is no section")
    return annotation
