"""The MQTT 5 properties that travel beside a publication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paho.mqtt.properties import Properties

from agent.backbone.publication import JSON

if TYPE_CHECKING:
    from agent.backbone.publication import Publication


def properties_of(publication: Publication, packet: int) -> Any:  # noqa: ANN401 - paho's Properties set by name
    """Those of a PUBLISH or of a will; `packet` is which (paho's PacketTypes)."""
    properties: Any = Properties(packet)  # type: ignore[no-untyped-call]
    if publication.expiry_s is not None:
        properties.MessageExpiryInterval = publication.expiry_s
    if publication.content_type is not None:
        properties.ContentType = publication.content_type
        properties.PayloadFormatIndicator = int(publication.content_type == JSON)
    if publication.user:
        properties.UserProperty = list(publication.user)
    if publication.correlation is not None:
        properties.CorrelationData = publication.correlation
    return properties
