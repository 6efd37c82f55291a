"""The topic tree."""

from __future__ import annotations

from agent.backbone.topics import Topics

TOPICS = Topics("51", "odesa", "kyivskyi", "k7f3k2qx4m")


def test_every_topic_is_where_the_contract_puts_it() -> None:
    """A platform routes by these very strings."""
    base = "bm/v1/51/odesa/kyivskyi/k7f3k2qx4m"

    assert [
        f"{base}/st",
        f"{base}/hb",
        f"{base}/evt/after-hours",
        f"{base}/snap/01KAMZ6T3QW8E2R5T7Y9V1J3P5",
        f"{base}/clip",
        f"{base}/alm/camera.no_frames",
        f"{base}/gap",
        f"{base}/ack",
    ] == [
        TOPICS.st,
        TOPICS.hb,
        TOPICS.evt("after-hours"),
        TOPICS.snap("01KAMZ6T3QW8E2R5T7Y9V1J3P5"),
        TOPICS.clip,
        TOPICS.alm("camera.no_frames"),
        TOPICS.gap,
        TOPICS.ack,
    ]


def test_topics_stay_within_what_brokers_of_the_field_take() -> None:
    """At most seven slashes and 256 bytes, even with the longest names that the settings allow."""
    longest = Topics("51", "c" * 32, "d" * 32, "k7f3k2qx4m").snap("0" * 26)

    assert longest.count("/") <= 7
    assert len(longest.encode()) <= 256
