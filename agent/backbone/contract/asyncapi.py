"""The contract as an AsyncAPI 3.0 document, generated from the table, the models and `rules.md`.

The schemas in it are those of `schema`; they use no keyword that JSON Schema 2020-12 and the draft-07 of
AsyncAPI's default dialect read differently.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, get_args

from agent import __version__
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.schema import schema
from agent.backbone.contract.table import MESSAGES, Carrier, Expiry, Row
from agent.backbone.drafts import HEADER
from agent.backbone.examination import CORRELATION_MAX
from agent.backbone.link import MAX_PACKET
from agent.backbone.orders import ORDERS
from agent.backbone.publication import JSON
from agent.config import Backbone
from agent.types import EventKind

BINDING = "0.2.0"  # of MQTT in AsyncAPI
PARAMETERS: dict[str, dict[str, Any]] = {
    "oblast": {"description": "ISO 3166-2:UA number, two digits", "examples": ["51"]},
    "city": {"description": "lower case letters, digits and dashes", "examples": ["odesa"]},
    "district": {"description": "district of the city, as the city is written", "examples": ["kyivskyi"]},
    "kit": {
        "description": "ten characters of Crockford's base32 in lower case, the last a check character; "
        "also the kit's MQTT client id, user name and the common name of its certificate",
        "examples": ["k7f3k2qx4m"],
    },
    "type": {"description": "kind of event; others may be added", "examples": list(get_args(EventKind))},
    "event": {"description": "`id` of the event that the picture is of", "examples": [EXAMPLES["evt"]["id"]]},
    "name": {
        "description": "`cmd` of the command; some have a slash in them, which makes a level more",
        "examples": list(ORDERS),
    },
    "requester": {
        "description": "`by` of the command, or what its response topic said",
        "examples": [EXAMPLES["cmd"]["by"]],
    },
    "code": {"description": "`code` of the alarm", "examples": [EXAMPLES["alm"]["code"]]},
}
"""What stands in braces in a topic."""


def asyncapi() -> dict[str, Any]:
    """The document; the same each time, so that a diff shows a change of the contract and nothing else."""
    topics: dict[str, dict[str, Row]] = {}
    for name, row in MESSAGES.items():
        topics.setdefault(row.address, {})[name] = row
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stairwell kit",
            "version": __version__,
            "description": files(__package__).joinpath("rules.md").read_text(encoding="utf-8"),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {"city": _server()},
        "channels": {_id(rows): _channel(address, rows) for address, rows in topics.items()},
        "operations": {_id(rows): _operation(rows) for rows in topics.values()},
        "components": {
            "messages": {name: _message(name, row) for name, row in MESSAGES.items()},
            "parameters": PARAMETERS,
            "schemas": {name: _pointed(one) for name, one in schema()["$defs"].items()},
            "securitySchemes": {
                "certificate": {
                    "type": "X509",
                    "description": "mutual TLS 1.2 or later; the common name of a kit's certificate is its "
                    "id, and the broker lets it write only below its own topics",
                }
            },
        },
    }


def _server() -> dict[str, Any]:
    will = MESSAGES["st.will"]
    return {
        "host": "{broker}:{port}",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "The broker of the city.",
        "variables": {
            "broker": {"description": "its name, as in its certificate"},
            "port": {"default": str(Backbone.model_fields["port"].default)},
        },
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
        "bindings": {
            "mqtt": {
                "clientId": "{kit}",
                "cleanSession": False,
                "lastWill": {
                    "topic": will.address,
                    "qos": will.qos,
                    "retain": will.retained,
                    "message": json.dumps(EXAMPLES["st.will"], separators=(",", ":")),
                },
                "keepAlive": Backbone.model_fields["keepalive_s"].default,
                "sessionExpiryInterval": Backbone.model_fields["session_expiry_s"].default,
                "maximumPacketSize": MAX_PACKET,
                "bindingVersion": BINDING,
            }
        },
    }


def _channel(address: str, rows: dict[str, Row]) -> dict[str, Any]:
    return {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in rows},
        "parameters": {
            name: {"$ref": f"#/components/parameters/{name}"} for name in re.findall(r"\{(\w+)\}", address)
        },
    }


def _operation(rows: dict[str, Row]) -> dict[str, Any]:
    [(sender, qos, retained, expiry, reply)] = {
        (row.sender, row.qos, row.retained, row.expiry, row.reply) for row in rows.values()
    }
    binding = {"qos": qos, "retain": retained, **_expires(expiry), "bindingVersion": BINDING}
    channel = f"#/channels/{_id(rows)}"
    return {
        "action": "send" if sender == "kit" else "receive",
        "summary": "The kit publishes, the platform subscribes."
        if sender == "kit"
        else "The platform publishes, the kit subscribes.",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in rows],
        **_replies(reply),
        "bindings": {"mqtt": binding},
    }


def _replies(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    channel = f"#/channels/{_id({name: MESSAGES[name]})}"
    return {"reply": {"channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{name}"}]}}


def _expires(expiry: Expiry | None) -> dict[str, Any]:
    if expiry is None:
        return {}
    seconds = {
        "type": "integer",
        "minimum": expiry.least_s,
        "maximum": expiry.most_s,
        "description": expiry.why,
    }
    return {"messageExpiryInterval": seconds}


def _message(name: str, row: Row) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{row.model.__name__}"}
    about = {"name": name, "description": " ".join((row.model.__doc__ or "").split())}
    if row.carrier is Carrier.PAYLOAD:
        return {
            **about,
            "contentType": JSON,
            "payload": reference,
            "examples": [{"payload": EXAMPLES[name]}],
            "bindings": {
                "mqtt": {"payloadFormatIndicator": 1, **_dialogue(name, row), "bindingVersion": BINDING}
            },
        }
    header = {
        "type": "string",
        "contentMediaType": JSON,
        "contentSchema": reference,
        "description": "The message, as JSON, in the MQTT user property of this name.",
    }
    carried = {
        **about,
        "headers": {"type": "object", "required": [HEADER], "properties": {HEADER: header}},
        "examples": [{"headers": {HEADER: json.dumps(EXAMPLES[name], separators=(",", ":"))}}],
    }
    if row.carrier is Carrier.EMPTY:
        return {**carried, "payload": {"type": "string", "maxLength": 0, "description": "empty"}}
    return {
        **carried,
        "contentType": EXAMPLES[name]["content_type"],
        "payload": {"type": "string", "format": "binary", "description": "the picture"},
    }


def _dialogue(name: str, row: Row) -> dict[str, Any]:
    """The MQTT properties by which an answer finds its question."""
    known = {
        "type": "string",
        "maxLength": CORRELATION_MAX,
        "description": "bytes; they come back as they are",
    }
    if row.reply is not None:
        return {"responseTopic": MESSAGES[row.reply].address, "correlationData": known}
    if name in {other.reply for other in MESSAGES.values()}:
        return {"correlationData": known}
    return {}


def _id(rows: dict[str, Row]) -> str:
    """The name of a channel and of its operation: its topic's fixed words."""
    row = next(iter(rows.values()))
    words = [row.of.strip("_"), *row.topic.split("/")]
    return ".".join(word for word in words if "{" not in word)


def _pointed(found: Any) -> Any:  # noqa: ANN401 - any JSON
    """A schema whose references point to where the schemas lie in this document."""
    if isinstance(found, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _pointed(value)
            for key, value in found.items()
        }
    return [_pointed(item) for item in found] if isinstance(found, list) else found
