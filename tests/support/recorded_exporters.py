"""One HTTP server that answers scrapes with recorded texts; what counts goes on counting from scrape to scrape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

RECORDED = Path(__file__).resolve().parents[1] / "fixtures" / "metrics"
COUNTING = ("counter", "histogram", "summary")
SAMPLE = re.compile(r"^(?P<series>[a-zA-Z_:][\w:]*(?:\{.*\})?) (?P<value>\S+)$")


def later(text: str, scrape: int) -> str:
    """The text at the scrape with this number: what counts has grown by a tenth each time, all else is as recorded."""
    lines, counting = [], False
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            counting = line.split()[3] in COUNTING
        sample = SAMPLE.match(line)
        if counting and sample:
            line = f"{sample['series']} {float(sample['value']) * (1 + scrape / 10)!r}"
        lines.append(line)
    return "\n".join(lines) + "\n"


@contextmanager
def recorded_exporters() -> Iterator[str]:
    """`127.0.0.1:PORT`; a scrape of `/debian-12/alertmanager` gets the recording of that name."""
    seen: Counter[str] = Counter()
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                seen[self.path] += 1
                scrape = seen[self.path]
            body = later((RECORDED / f"{self.path[1:]}.txt").read_text(encoding="utf-8"), scrape).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Scrapes are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
