"""What a vendor wants of a message, as its own documentation says: each function gives the reasons to refuse one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

URL = re.compile(r"https?://\S+")
COLOR = re.compile(r"good|warning|danger|#[0-9a-fA-F]{6}")
Test = Callable[[Any], bool]


def slack_problems(payload: Any) -> list[str]:
    """Incoming webhook with secondary attachments.

    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
    https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments: a JSON object; `attachments` is
    a list, each with `fallback`; `color` is good, warning, danger or a hex code; `title_link` is a URL; `fields` have
    `title`, `value` and a boolean `short`. `&`, `<` and `>` in a text are markup unless they are escaped:
    https://docs.slack.dev/messaging/formatting-message-text#escaping.
    """
    problems = _wrong("", payload, {"attachments": _filled(list), "channel": _text, "username": _text})
    for number, attachment in enumerate(_list(payload, "attachments")):
        where = f"attachments[{number}]."
        problems += _wrong(
            where,
            attachment,
            {
                "fallback": _text,
                "color": lambda value: isinstance(value, str) and bool(COLOR.fullmatch(value)),
                "title": _text,
                "title_link": _url,
                "text": lambda value: _text(value) and _only_links(value),
                "fields": _filled(list),
            },
        )
        for field in _list(attachment, "fields"):
            problems += _wrong(f"{where}fields.", field, {"title": _text, "value": _text, "short": _a(bool)})
    return problems


def pagerduty_problems(payload: Any) -> list[str]:
    """Events API v2, alert events.

    https://developer.pagerduty.com/docs/send-alert-event: `routing_key` has 32 characters; `event_action` is trigger,
    acknowledge or resolve; `dedup_key` has up to 255; `payload` has `summary` (up to 1024), `source` and `severity`
    (critical, error, warning, info), `custom_details` is an object; `links` have `href` and `text`.
    """
    wanted: dict[str, Test] = {
        "routing_key": lambda value: isinstance(value, str) and len(value) == 32,
        "event_action": lambda value: value in ("trigger", "acknowledge", "resolve"),
        "dedup_key": lambda value: _text(value) and len(value) <= 255,
        "payload": _a(dict),
        "client": _text,
        "client_url": _url,
    }
    problems = _wrong("", payload, wanted)
    problems += _wrong(
        "payload.",
        payload.get("payload") if isinstance(payload, dict) else None,
        {
            "summary": lambda value: _text(value) and len(value) <= 1024,
            "source": _text,
            "severity": lambda value: value in ("critical", "error", "warning", "info"),
            "class": _text,
            "component": _text,
            "group": _text,
            "custom_details": _a(dict),
        },
    )
    for link in _list(payload, "links"):
        problems += _wrong("links.", link, {"href": _url, "text": _text})
    return problems


def webhook_problems(payload: Any) -> list[str]:
    """Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""
    wanted: dict[str, Test] = {
        "version": lambda value: value == "4",
        "groupKey": _text,
        "truncatedAlerts": lambda value: value == 0,
        "status": _status,
        "receiver": _text,
        "groupLabels": _a(dict),
        "commonLabels": _a(dict),
        "commonAnnotations": _a(dict),
        "externalURL": _text,
        "alerts": _filled(list),
    }
    of_alert: dict[str, Test] = {
        "status": _status,
        "labels": _filled(dict),
        "annotations": _a(dict),
        "startsAt": _time,
        "endsAt": _time,
        "generatorURL": _a(str),
        "fingerprint": _text,
    }
    problems = _wrong("", payload, wanted)
    for alert in _list(payload, "alerts"):
        problems += _wrong("alerts.", alert, of_alert)
    return problems


def email_problems(raw: bytes) -> list[str]:
    """RFC 5322 (Date, From, To, Subject, Message-Id), RFC 2046 section 5.1.4 (the same as text and as HTML)."""
    message = message_from_bytes(raw, policy=policy.default)
    problems = [f"{name} is missing" for name in ("Date", "From", "To", "Subject", "Message-Id") if not message[name]]
    problems += [f"{type(defect).__name__}: {defect}" for part in message.walk() for defect in part.defects]
    if message.get_content_type() != "multipart/alternative":
        problems.append(f"Content-Type is {message.get_content_type()}")
    kinds = [part.get_content_type() for part in message.iter_parts()] if isinstance(message, EmailMessage) else []
    if kinds != ["text/plain", "text/html"]:
        problems.append(f"its parts are {kinds}")
    return problems


def _wrong(where: str, value: Any, wanted: dict[str, Test]) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where or 'the message'} is no object"]
    missing = [f"{where}{name} is missing" for name in wanted if name not in value]
    return missing + [
        f"{where}{name} is {value[name]!r}" for name, good in wanted.items() if name in value and not good(value[name])
    ]


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _a(kind: type) -> Test:
    return lambda value: isinstance(value, kind)


def _filled(kind: type) -> Test:
    return lambda value: isinstance(value, kind) and len(value) > 0


def _text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and "<no value>" not in value


def _url(value: Any) -> bool:
    return isinstance(value, str) and bool(URL.fullmatch(value))


def _status(value: Any) -> bool:
    return value in ("firing", "resolved")


def _time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _only_links(text: str) -> bool:
    """No markup but links: `<https://…|name>`."""
    left = re.sub(r"<https?://[^\s<>|]+\|[^<>|]+>", "", text)
    return not re.search(r"[<>]|&(?!amp;|lt;|gt;)", left)
