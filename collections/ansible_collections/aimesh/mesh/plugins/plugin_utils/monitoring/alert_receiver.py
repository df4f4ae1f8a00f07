"""Receives every alert that Alertmanager sends, keeps a bounded ledger of them, and says what is firing.

One file that needs nothing but Python 3.11 or later: it is put on hosts as it is.

    POST /webhook      a message of Alertmanager (webhook version 4): one ledger line for each of its alerts
    GET  /alerts       {"watchdog_received": Unix time or null, "active": [{labels, annotations, since, received}]}
    GET  /deliveries   the ledger, one JSON object a line; ?since=UNIX&drill=ID (the label `drill_id`) chooses
    GET  /health, GET /metrics   without a token

`since` of an alert is its `startsAt`, `received` the Unix time when it was told last. Alerts of drills
(`drill="true"`) are in the ledger alone; the Watchdog moves `watchdog_received` only while it fires.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import hmac
import json
import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

VERSION = "1"
EXIT_CONFIG = 78
"""sysexits EX_CONFIG: a restart does not help."""
BODY_LIMIT = 1024 * 1024
HEAD_LIMIT = 16 * 1024
LEDGER_LIMIT = 4 * 1024 * 1024
"""Bytes of one of the two files."""
CONNECTIONS = 64
TIMEOUT_S = 5.0
"""For a whole exchange, so that no slow client holds a connection longer."""
FORGET_AFTER_S = 4 * 3600
"""Alertmanager tells this receiver every hour what still fires."""
WATCHDOG = "Watchdog"
DRILL_PASSED = "AimeshDrillPassed"
"""What an alert drill sends at its end, along the way that it has proven."""
STATUSES = ("firing", "resolved")
SEVERITIES = ("critical", "warning", "ticket", "other")
JSON, LINES, METRICS = "application/json", "application/x-ndjson", "text/plain; version=0.0.4; charset=utf-8"
OPEN = ("/health", "/metrics")
METRICS_TEXT = """\
# HELP aimesh_alert_watchdog_received_timestamp_seconds Unix time when the Watchdog arrived last; 0: it never has.
# TYPE aimesh_alert_watchdog_received_timestamp_seconds gauge
aimesh_alert_watchdog_received_timestamp_seconds {watchdog}
# HELP aimesh_drill_alerts_last_success_timestamp_seconds Unix time when an alert drill passed last; 0: none has.
# TYPE aimesh_drill_alerts_last_success_timestamp_seconds gauge
aimesh_drill_alerts_last_success_timestamp_seconds {drill_passed}
# HELP aimesh_alert_active Alerts that fire, by severity, without the Watchdog and drills.
# TYPE aimesh_alert_active gauge
{active}# HELP aimesh_alert_deliveries_total Alerts that were delivered and stored, by status.
# TYPE aimesh_alert_deliveries_total counter
{stored}"""

Entry = dict[str, Any]
"""A ledger line: {received, status, labels, annotations, startsAt, endsAt, fingerprint, receiver, groupKey}."""
Answer = tuple[str, bytes]
"""Content type and body."""


class RefusalError(Exception):
    """An answer other than 200: its status, one sentence, and a header line where the status wants one."""

    def __init__(self, status: int, sentence: str, header: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.header = header


class Token:
    """The secret in a file, which is read again when the file changes; what cannot be read changes nothing."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, or ValueError for an empty file."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._value = b""
        self._refresh()

    def _refresh(self) -> None:
        found = self._path.stat()
        seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        if seen != self._seen:
            value = self._path.read_bytes().strip()
            if not value:
                raise ValueError("it is empty")
            self._value, self._seen = value, seen

    def fits(self, authorization: str) -> bool:
        with contextlib.suppress(OSError, ValueError):
            self._refresh()
        return hmac.compare_digest(authorization.encode("latin-1"), b"Bearer " + self._value)


class Ledger:
    """Two files of JSON lines: when the newer one is full it takes the place of the older one."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where it cannot be written. What a kill left of a line is cut off: nobody was told of it."""
        self._newer, self._older = folder / "deliveries.jsonl", folder / "deliveries.1.jsonl"
        with self._newer.open("ab"):
            os.truncate(self._newer, self._newer.read_bytes().rfind(b"\n") + 1)

    def entries(self) -> Iterator[tuple[bytes, Entry]]:
        """Each line and what it holds, oldest first; lines that are not JSON objects are left out."""
        for path in (self._older, self._newer):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError, RecursionError):
                        entry = json.loads(line)
                        if isinstance(entry, dict):
                            yield line, entry

    def append(self, data: bytes, summary: Entry) -> None:
        """All of `data` or nothing. `summary`, what the lost file is still needed for, begins a new file."""
        if self._newer.stat().st_size + len(data) > LEDGER_LIMIT:
            self._newer.replace(self._older)
            data = encoded(summary) + data
        with self._newer.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(size)
                raise


class Alerts:
    """What is firing, by fingerprint, and when the Watchdog was received last."""

    def __init__(self, ledger: Ledger, forget_after: float) -> None:
        self._ledger = ledger
        self._forget_after = forget_after
        self._active: dict[str, Entry] = {}
        self.watchdog_received: float | None = None
        self.drill_passed: float | None = None
        self.deliveries = Counter(dict.fromkeys(STATUSES, 0))
        for _, entry in ledger.entries():
            with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
                self._take(entry)

    def deliver(self, entries: list[Entry]) -> None:
        """Raises RefusalError when the ledger cannot take them; what they say counts all the same."""
        data = bytearray()
        for entry in entries:
            data += encoded(entry)
            if len(data) > LEDGER_LIMIT:
                raise RefusalError(413, f"The message makes more than {LEDGER_LIMIT} bytes of ledger.")
        for entry in entries:
            self._take(entry)
        try:
            self._ledger.append(bytes(data), self._summary())
        except OSError as error:
            raise RefusalError(503, f"The ledger cannot be written ({error.strerror}).") from None
        self.deliveries.update(entry["status"] for entry in entries)

    def _summary(self) -> Entry:
        told = {"watchdog_received": self.watchdog_received, "drill_passed": self.drill_passed}
        return {"active": self._active, **told}

    def _take(self, entry: Entry) -> None:
        if "active" in entry:
            self._active, self.watchdog_received = dict(entry["active"]), entry["watchdog_received"]
            self.drill_passed = entry["drill_passed"]
            return
        labels, received = entry["labels"], float(entry["received"])
        if labels.get("drill") == "true":
            if labels.get("alertname") == DRILL_PASSED and entry["status"] == "firing":
                self.drill_passed = received
            return
        if labels.get("alertname") == WATCHDOG:
            # A resolved Watchdog is the news that Prometheus has gone.
            if entry["status"] == "firing":
                self.watchdog_received = received
            return
        if entry["status"] == "firing":
            told = {"labels": labels, "annotations": entry["annotations"]}
            self._active[entry["fingerprint"]] = {**told, "since": entry["startsAt"], "received": received}
        else:
            self._active.pop(entry["fingerprint"], None)

    def active(self) -> list[Entry]:
        """Of an alert that is muted while it fires Alertmanager tells no end, so silence ends it too, much later."""
        known = time.time() - self._forget_after
        self._active = {key: alert for key, alert in self._active.items() if alert["received"] >= known}
        return list(self._active.values())


def encoded(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def entries_of(body: bytes, received: float) -> list[Entry]:
    """The ledger lines of a webhook message; raises RefusalError 400."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusalError(400, "The body is not JSON.") from None
    alerts = message.get("alerts") if isinstance(message, dict) else None
    if not isinstance(alerts, list):
        raise RefusalError(400, "The body has no list of alerts, as a webhook message of Alertmanager has.")
    origin = {name: _text(message, name) for name in ("receiver", "groupKey")}
    return [_entry(alert, received) | origin for alert in alerts]


def _entry(alert: Any, received: float) -> Entry:
    if not isinstance(alert, dict) or alert.get("status") not in STATUSES:
        raise RefusalError(400, f"An alert is not an object whose status is {' or '.join(STATUSES)}.")
    labels, annotations = alert.get("labels"), alert.get("annotations") or {}
    for name, found in (("labels", labels), ("annotations", annotations)):
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise RefusalError(400, f"The {name} of an alert are not an object of strings.")
    entry = {"received": received, "status": alert["status"], "labels": labels, "annotations": annotations}
    entry |= {name: _text(alert, name) for name in ("startsAt", "endsAt", "fingerprint")}
    entry["fingerprint"] = entry["fingerprint"] or json.dumps(labels, sort_keys=True)
    return entry


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise RefusalError(400, f"{name} is not a string.")
    return value


class Receiver:
    """Answers one request on each connection."""

    def __init__(self, alerts: Alerts, ledger: Ledger, token: Token) -> None:
        self._alerts = alerts
        self._ledger = ledger
        self._token = token
        self._connections = 0
        self._routes: dict[str, tuple[str, Callable[[str, bytes], Answer]]] = {
            "/webhook": ("POST", self._webhook),
            "/alerts": ("GET", self._active),
            "/deliveries": ("GET", self._deliveries),
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
        }

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._exchange(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Too slow, gone, or still there at the end of the process, where Python 3.11 would print a traceback.
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, header = 200, ""
        try:
            kind, body = await self._answer(reader)
        except RefusalError as refusal:
            status, header = refusal.status, refusal.header
            kind, body = JSON, encoded({"error": str(refusal)})
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {kind}"]
        lines += [f"Content-Length: {len(body)}", "Connection: close", *([header] if header else []), "", ""]
        writer.write("\r\n".join(lines).encode())
        writer.write(body)
        await writer.drain()
        writer.write_eof()
        # Closing with unread data would reset the connection before the client has read the answer.
        while await reader.read(65536):
            pass

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
        except asyncio.LimitOverrunError:
            raise RefusalError(400, f"Request line and headers are larger than {HEAD_LIMIT} bytes.") from None
        except ValueError:
            raise RefusalError(400, "The request line is not one of HTTP/1.1.") from None
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        path, _, query = target.partition("?")
        if path not in OPEN and not self._token.fits(headers.get("authorization", "")):
            raise RefusalError(401, "The bearer token is missing or wrong.", "WWW-Authenticate: Bearer")
        if path not in self._routes:
            raise RefusalError(404, f"There is {', '.join(self._routes)}.")
        allowed, answer = self._routes[path]
        if method != allowed:
            raise RefusalError(405, f"{path} takes {allowed} alone.", f"Allow: {allowed}")
        return answer(query, await self._body(reader, headers) if allowed == "POST" else b"")

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()) or len(length) > 15:
            raise RefusalError(400, "Content-Length is missing or not a number of bytes.")
        if int(length) > BODY_LIMIT:
            raise RefusalError(413, f"The body is larger than {BODY_LIMIT} bytes.")
        return await reader.readexactly(int(length))

    def _webhook(self, _query: str, body: bytes) -> Answer:
        received = int(time.time() * 1000) / 1000  # cut, since a rounded one could lie in the future
        try:
            entries = entries_of(body, received)
            self._alerts.deliver(entries)
        except RefusalError as refusal:
            log(status=refusal.status, error=str(refusal))
            raise
        names = sorted({entry["labels"].get("alertname", "") for entry in entries})
        log(status=200, alerts=names[:20], **Counter(entry["status"] for entry in entries))
        return JSON, encoded({"stored": len(entries)})

    def _active(self, _query: str, _body: bytes) -> Answer:
        received = self._alerts.watchdog_received
        return JSON, encoded({"watchdog_received": received, "active": self._alerts.active()})

    def _deliveries(self, query: str, _body: bytes) -> Answer:
        asked = dict(parse_qsl(query, keep_blank_values=True))
        try:
            since = float(asked.get("since", 0))
        except ValueError:
            since = math.nan
        if not math.isfinite(since):
            raise RefusalError(400, "since is not a Unix time in seconds.")
        # Entries are dropped at once: thousands of them at a time would need ten times the memory of their lines.
        found = (each for each in self._ledger.entries() if each[1].get("received", -math.inf) >= since)
        if "drill" in asked:
            found = (each for each in found if each[1]["labels"].get("drill_id") == asked["drill"])
        return LINES, b"".join(line for line, _ in found)

    def _health(self, _query: str, _body: bytes) -> Answer:
        return JSON, encoded({"status": "ok", "service": "alert-receiver", "version": VERSION})

    def _metrics(self, _query: str, _body: bytes) -> Answer:
        found = Counter(dict.fromkeys(SEVERITIES, 0))
        for alert in self._alerts.active():
            severity = alert["labels"].get("severity")
            found[severity if severity in SEVERITIES else "other"] += 1
        active = "".join(f'aimesh_alert_active{{severity="{name}"}} {count}\n' for name, count in found.items())
        stored = "".join(
            f'aimesh_alert_deliveries_total{{status="{name}"}} {count}\n'
            for name, count in self._alerts.deliveries.items()
        )
        moments = {
            "watchdog": self._alerts.watchdog_received or 0,
            "drill_passed": self._alerts.drill_passed or 0,
        }
        text = METRICS_TEXT.format(**moments, active=active, stored=stored)
        return METRICS, text.encode()


def log(**fields: Any) -> None:
    with contextlib.suppress(OSError):
        print(json.dumps({"ts": round(time.time(), 3), "msg": "delivery", **fields}), flush=True)


async def serve(receiver: Receiver, address: str, port: int) -> None:
    """Until SIGTERM or SIGINT; raises OSError when it cannot listen."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # Not `async with`: it would wait for clients that have connections open.
    server = await asyncio.start_server(receiver.connected, address, port, limit=HEAD_LIMIT)
    await stopped.wait()
    server.close()


def _listener(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not address or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return address.strip("[]"), int(port)


def main() -> int:
    parser = argparse.ArgumentParser(prog="alert-receiver", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"alert-receiver {VERSION}")
    parser.add_argument("--listen", type=_listener, required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--ledger", type=Path, required=True, metavar="DIR", help="a folder that exists")
    parser.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="its clients' bearer token")
    parser.add_argument(
        "--forget-after",
        type=float,
        default=FORGET_AFTER_S,
        metavar="SECONDS",
        help="an alert that was not told again for so long fires no more; longer than repeat_interval (%(default)s)",
    )
    options = parser.parse_args()
    try:
        what, action = options.token_file, "read"
        token = Token(options.token_file)
        what, action = options.ledger, "written"
        ledger = Ledger(options.ledger)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"alert-receiver: {what} cannot be {action} ({reason}).", file=sys.stderr)
        return EXIT_CONFIG
    try:
        asyncio.run(serve(Receiver(Alerts(ledger, options.forget_after), ledger, token), *options.listen))
    except OSError as error:
        print(f"alert-receiver: cannot listen on {':'.join(map(str, options.listen))} ({error}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
