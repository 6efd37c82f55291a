"""The city's configuration from end to end: a real broker, the whole agent, real deaths."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, SITE, check, query, service_manager, settings, toml, visit
from broker import Broker, Listener, wait_for
from desired import desired
from orders import PLATFORM_KEY, STRANGER

from agent.app import live, reconfiguration
from agent.app.service import serve
from agent.backbone import link
from agent.backbone.topics import Topics
from agent.device.clock import SystemClock
from agent.kitid import check_character

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.config_remote import Tables

HERE = Topics("51", "odesa", "kyivskyi", KIT)
STILL = "synthetic:?seconds=3600&width=64&height=48"
MOVING, DYING, WATCHING = (body + check_character(body) for body in ("m0v1ng000", "d1es00000", "watch0000"))

pytestmark = [pytest.mark.broker, pytest.mark.slow]


class Kit:
    """A kit with its file, and what a platform hears of it."""

    def __init__(self, directory: Path, port: int, topics: Topics = HERE, **sections: dict[str, Any]) -> None:
        self.directory = directory
        self.topics = topics
        self.file = directory / "agent.toml"
        self._port = port
        self.write(**sections)
        self.listener = Listener(port, f"platform-{topics.kit}", f"bm/v1/+/+/+/{topics.kit}/#")

    def write(self, **sections: dict[str, Any]) -> None:
        """Write the kit's own file."""
        site = {**SITE, "district": self.topics.district}
        fixed: dict[str, dict[str, Any]] = {
            "kit": {"id": self.topics.kit},
            "site": site,
            "capture": {"source": STILL},
            "detector": {"model": str(self.directory / "none.toml")},  # takes its time, and nobody comes
            "backbone": {"port": self._port, "will_delay_s": 0, "platform_keys": [PLATFORM_KEY]},
        }
        both = {name: {**fixed.get(name, {}), **sections.get(name, {})} for name in {*fixed, *sections}}
        self.file.write_text(toml(settings(self.directory / "state", **both)), encoding="utf-8")

    def want(self, rev: int, values: Tables, **changes: Any) -> None:  # noqa: ANN401 - of the document
        """Publish a configuration, as the platform does."""
        topics = changes.pop("topics", self.topics)
        self.listener.publish(topics.cfg_des, desired(rev, values, topics=topics, **changes), retain=True)

    def of(self, leaf: str, topics: Topics | None = None) -> list[dict[str, Any]]:
        """The messages on a leaf, in order, each proved valid."""
        found = [
            json.loads(heard.payload)
            for heard in list(self.listener.heard)
            if heard.topic == f"{(topics or self.topics).base}/{leaf}" and heard.payload
        ]
        for message in found:
            check(message)
        return found

    def report(self) -> dict[str, Any]:
        """The last report."""
        return (self.of("cfg/rep") or [{}])[-1]

    def reported(self, state: str, seen: int | None) -> bool:
        """Whether the last report says this."""
        return (state, seen) == (self.report().get("state"), self.report().get("seen"))

    def born(self, revision: int) -> int:
        """How many births there were with this revision."""
        return sum(m["state"] == "online" and m["cfg_rev"] == revision for m in self.of("st"))


class Serving:
    """`serve` in a thread."""

    def __init__(self, kit: Kit) -> None:
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(kit.file,), daemon=True)
        self._thread.start()

    def _run(self, file: Path) -> None:
        try:
            while serve(file, SystemClock(), self.stop):  # where a process renews itself
                pass
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def end(self) -> None:
        """Stop it."""
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A minute of health is too long for a test, and so is one between two tries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconfiguration, "HEALTHY_S", 0.5)
        patch.setattr(reconfiguration, "HEALTHY_STALLS", 0)
        patch.setattr(live, "TICK_S", 0.1)
        patch.setattr(link, "BACKOFF_MAX_S", 0.5)
        yield


@pytest.fixture
def new_kit() -> Iterator[Callable[..., Kit]]:
    """Makes kits; who listens to them leaves with the test."""
    with ExitStack() as listening:

        def made(*args: Any, **sections: dict[str, Any]) -> Kit:  # noqa: ANN401 - those of Kit
            kit = Kit(*args, **sections)
            listening.callback(kit.listener.close)
            return kit

        yield made


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    one = Broker(tmp_path_factory.mktemp("broker"))
    one.start()
    yield one
    one.stop()


@dataclass
class Story:
    """What a kit answered, step by step."""

    kit: Kit
    reports: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Story]:
    """One kit that gets one configuration after the other."""
    kit = Kit(tmp_path_factory.mktemp("story"), broker.port)
    reports = {}
    serving = Serving(kit)
    wait_for(lambda: kit.reported("applied", None), 30)
    reports["own"] = kit.report()

    def tell(name: str, state: str, seen: int | None, rev: int, values: Tables, **changes: Any) -> None:  # noqa: ANN401
        kit.want(rev, values, **changes)
        wait_for(lambda: kit.reported(state, seen), 60)
        reports[name] = kit.report()

    tell("five", "applied", 5, 5, {"clips": {"retention_h": 24}, "site": {"entrance": "9"}})
    tell("stranger", "refused", None, 6, {"clips": {"retention_h": 1}}, key=STRANGER)
    wrong: Tables = {"clips": {"seal": "none", "retention_h": 500}, "events": {"quiet_s": 4}, "log": {"x": 1}}
    tell("wrong keys", "refused", 6, 6, wrong)
    tell("old", "refused", 4, 4, {"clips": {"retention_h": 1}})
    tell("seven", "applied", 7, 7, {"clips": {"retention_h": 12}})
    serving.end()
    yield Story(kit, reports)
    kit.listener.close()


def test_without_a_word_from_the_city_the_own_file_counts(story: Story) -> None:
    """The report says so, with the values in force."""
    assert (0, {}) == (story.reports["own"]["rev"], story.reports["own"].get("errors") or {})
    assert 72.0 == story.reports["own"]["values"]["clips"]["retention_h"]


def test_a_signed_configuration_comes_into_force(story: Story) -> None:
    """Pending first, then applied, with its values in the report and its number in the birth."""
    states = [(m["rev"], m["state"]) for m in story.kit.of("cfg/rep") if m.get("seen") == 5]

    assert [(0, "pending"), (5, "pending")] == states[:2]
    assert (5, "applied") == (story.reports["five"]["rev"], story.reports["five"]["state"])
    assert 24.0 == story.reports["five"]["values"]["clips"]["retention_h"]
    birth = next(m for m in story.kit.of("st") if m["state"] == "online" and m["cfg_rev"] == 5)
    assert "9" == birth["site"]["entrance"]


def test_the_agent_says_why_it_ends_and_is_back(story: Story) -> None:
    """`stopped`, then a birth of the same stream, one session on."""
    presence = story.kit.of("st")
    states = [(m["state"], m.get("why")) for m in presence]

    assert [("online", None), ("stopped", "reconfigure")] * 2 == states[:4]
    assert ("stopped", "shutdown") == states[-1]
    assert 1 == len({m["stream"] for m in presence})
    assert [1, 1, 2, 2, 3, 3] == [m["session"] for m in presence]


def test_what_a_stranger_signed_changes_nothing(story: Story) -> None:
    """It is refused, nothing of it is believed, and an alarm says that somebody tries."""
    report = story.reports["stranger"]

    assert (5, "unknown-key", 24.0) == (
        report["rev"],
        report["why"],
        report["values"]["clips"]["retention_h"],
    )
    assert any(m["code"] == "config.refused" for m in story.kit.of("alm/config.refused"))


def test_one_wrong_key_and_nothing_is_applied(story: Story) -> None:
    """Each wrong key is named with its reason; what was right beside them is not applied either."""
    report = story.reports["wrong keys"]

    assert ("wrong-keys", 5) == (report["why"], report["rev"])
    assert {"clips.seal", "clips.retention_h", "log.x"} == {wrong["key"] for wrong in report["errors"]}
    assert 2.5 == report["values"]["events"]["quiet_s"]


def test_an_old_configuration_cannot_be_played_back(story: Story) -> None:
    """Signed as well as ever, and of no use to who kept it."""
    report = story.reports["old"]

    assert ("old-revision", 4, 5, 24.0) == (
        report["why"],
        report["seen"],
        report["rev"],
        report["values"]["clips"]["retention_h"],
    )


def test_what_is_absent_is_the_files_own_again(story: Story) -> None:
    """A configuration is the whole of what the city wants; the alarm of the refusals is over."""
    seven = story.reports["seven"]

    assert (7, 12.0, "") == (
        seven["rev"],
        seven["values"]["clips"]["retention_h"],
        seven["values"]["site"]["entrance"],
    )
    raised = query(story.kit.directory / "state", "SELECT code FROM active_alarms WHERE code LIKE 'config.%'")
    assert [] == raised


def test_each_signed_one_is_accounted_for(story: Story) -> None:
    """Who asked for what, and how it was answered: also that masks were taken away, say."""
    wanted = "SELECT status, code, text FROM audit WHERE cmd = 'cfg/des' ORDER BY n"
    rows = query(story.kit.directory / "state", wanted)

    assert [("accepted", None), ("rejected", "wrong-keys"), ("accepted", None)] == [row[:2] for row in rows]
    assert "revision 5: clips.retention_h, site.entrance" == rows[0][2]


def test_numbers_stay_dense(story: Story) -> None:
    """Three agents one after the other: one stream, no number twice."""
    heard = [json.loads(m.payload) for m in story.kit.listener.heard if m.payload and b'"seq"' in m.payload]
    with_header = [m for m in story.kit.listener.heard if not m.payload and "/alm/" in m.topic]

    assert set(range(1, len(heard) + len(with_header) + 1)) >= {m["seq"] for m in heard}
    assert 1 == len({m["stream"] for m in heard})


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return visit(tmp_path_factory.mktemp("footage") / "visit.mp4")


def test_an_event_under_way_is_not_lost(
    tmp_path: Path, broker: Broker, footage: Path, new_kit: Callable[..., Kit]
) -> None:
    """It is waited for; when that takes too long it ends in order, with its whole clip, and is told."""
    topics = Topics("51", "odesa", "kyivskyi", WATCHING)
    kit = new_kit(
        tmp_path,
        broker.port,
        topics,
        capture={"source": str(footage), "loop": True},
        detector={"model": "ssdlite"},
        events={"quiet_s": 30},  # in a loop somebody is always there
        clips={"post_roll_s": 1},
    )
    serving = Serving(kit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconfiguration, "QUIET_WAIT_S", 2.0)
        wait_for(lambda: kit.of("evt/person"), 60)
        kit.want(1, {"clips": {"retention_h": 24}})
        wait_for(lambda: kit.reported("applied", 1), 60)
        serving.end()

    before = [m.topic.rsplit("/", 1)[-1] for m in kit.listener.heard]
    stopped = before.index("st", before.index("st") + 1)
    first = kit.of("evt/person")[0]["id"]
    steps = [m for m in kit.of("evt/person") if m["id"] == first]
    clip = next(m for m in kit.of("clip") if first in m["events"])
    assert ["new", "end"] == [steps[0]["phase"], steps[-1]["phase"]]
    assert "why" not in steps[-1]
    assert not clip["truncated"]
    assert before.index("clip") < stopped
    assert steps[-1]["mono"] - steps[0]["mono"] > 2.0  # of its pictures a busy machine has seen fewer seconds
    assert [] == query(tmp_path / "state", "SELECT * FROM open_events")


def process(kit: Kit) -> subprocess.Popen[str]:
    """The kit as the service manager starts it."""
    command = [sys.executable, "-m", "agent", "run", "--config", str(kit.file)]
    with (kit.directory / "agent.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=kit.directory, text=True)


def test_two_deaths_on_trial_roll_it_back(
    tmp_path: Path, broker: Broker, new_kit: Callable[..., Kit]
) -> None:
    """SIGKILL, twice: the third start has the last good configuration, says so, and tries no more.

    The service manager sees one process go on over the change of settings, and never hears that it stops.
    """
    kit = new_kit(tmp_path, broker.port, Topics("51", "odesa", "kyivskyi", DYING))
    with service_manager(tmp_path / "notify") as heard:
        running = process(kit)
        wait_for(lambda: kit.reported("applied", None), 60)
        kit.want(3, {"clips": {"retention_h": 24}})
        wait_for(lambda: kit.born(3) == 1, 60)
        wait_for(lambda: heard.count("READY=1") == 2, 60)
        running.kill()
    assert {"READY=1", "WATCHDOG=1"} == set(heard)
    running.wait(30)
    running = process(kit)
    wait_for(lambda: kit.born(3) == 2, 60)
    assert kit.reported("pending", 3)
    running.kill()
    running.wait(30)

    running = process(kit)
    wait_for(lambda: kit.reported("rolled-back", 3), 60)
    report = kit.report()
    assert (0, 72.0) == (report["rev"], report["values"]["clips"]["retention_h"])
    assert "ended 2 times with it" in report["detail"]
    wait_for(lambda: kit.of("alm/config.rolled_back"))
    assert 2 == kit.born(3)  # though the broker has delivered it again
    running.terminate()
    assert 0 == running.wait(30)
    assert "Traceback" not in (tmp_path / "agent.log").read_text()


def retained(port: int, kit: str) -> set[str]:
    """What the broker keeps of a kit, without `bm/v1/51/odesa/`."""
    late = Listener(port, f"late-{kit}", f"bm/v1/+/+/+/{kit}/#")
    late.publish(f"bm/v1/00/end/end/{kit}/hb", b"end")
    wait_for(lambda: late.of("/end/"))
    found = {m.topic.removeprefix("bm/v1/51/odesa/") for m in late.heard if m.retain}
    late.close()
    return found


def test_a_kit_that_is_moved_leaves_nothing_behind(
    tmp_path: Path, broker: Broker, new_kit: Callable[..., Kit]
) -> None:
    """Moved by the city, then by hands on its file: presence, report and alarms are where it is only."""
    places = ("kyivskyi", "prymorskyi", "suvorovskyi")
    here, there, back = (Topics("51", "odesa", place, MOVING) for place in places)
    kit = new_kit(tmp_path, broker.port, here)
    serving = Serving(kit)
    wait_for(lambda: kit.reported("applied", None), 30)

    def left(topics: Topics) -> set[str]:
        place = f"{topics.district}/{MOVING}"
        alarms = {f"{place}/alm/{code}" for code in ("clips.unsealed", "detector.unusable")}
        return {f"{place}/st", f"{place}/cfg/rep", *alarms}

    wait_for(lambda: retained(broker.port, MOVING) == left(here))
    kit.want(1, {"site": {"district": "prymorskyi"}})
    kit.topics = there
    wait_for(lambda: kit.reported("applied", 1), 60)
    orders = f"{here.district}/{MOVING}/cfg/des"  # the platform's own to clear
    wait_for(lambda: retained(broker.port, MOVING) == left(there) | {orders}, 30)
    birth = kit.of("st")[-1]
    assert ("prymorskyi", 1) == (birth["site"]["district"], birth["cfg_rev"])
    kit.listener.publish(here.cfg_des, b"", retain=True)

    kit.want(2, {})
    kit.topics = here  # where its own file says
    wait_for(lambda: kit.reported("applied", 2), 60)
    serving.end()

    kit.topics = back
    kit.write()
    serving = Serving(kit)
    wait_for(lambda: kit.reported("applied", 2), 30)
    orders = f"{there.district}/{MOVING}/cfg/des"
    wait_for(lambda: retained(broker.port, MOVING) == left(back) | {orders}, 30)
    serving.end()


def test_a_broker_that_lost_its_store_is_told_again(tmp_path: Path, new_kit: Callable[..., Kit]) -> None:
    """Presence, report and every raised alarm, with the words of its beginning."""
    own = Broker(tmp_path)
    own.start()
    kit = new_kit(tmp_path, own.port)
    serving = Serving(kit)
    wait_for(lambda: kit.of("alm/clips.unsealed") and kit.of("cfg/rep"), 30)
    own.kill()
    own.start()

    wait_for(lambda: len(retained(own.port, KIT)) == 4, 60)
    wait_for(lambda: len(kit.of("alm/clips.unsealed")) > 1, 30)
    serving.end()
    first, *_, last = kit.of("alm/clips.unsealed")
    assert (first["mono0"], first["boot"]) == (last["mono0"], last["boot"])
    assert first["seq"] < last["seq"]
    own.stop()


def test_alarms_of_a_database_that_is_gone_are_cleared(tmp_path: Path, new_kit: Callable[..., Kit]) -> None:
    """Nobody knows any more which were raised, so all are cleared but those that are so still."""
    own = Broker(tmp_path)
    own.start()
    kit = new_kit(tmp_path, own.port)
    serving = Serving(kit)
    wait_for(lambda: kit.of("alm/detector.unusable") and kit.of("alm/clips.unsealed"), 30)
    serving.end()
    (tmp_path / "state" / "agent.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    kit.write(detector={"model": "ssdlite"})

    serving = Serving(kit)
    wait_for(
        lambda: (
            {t.rsplit("/", 1)[1] for t in retained(own.port, KIT)}
            == {"st", "rep", "clips.unsealed", "storage.corrupt"}
        ),
        30,
    )
    serving.end()
    own.stop()
