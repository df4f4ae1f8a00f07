"""Tells a Prometheus what the jobs of backups leave behind: a pod has no node exporter that would."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

TYPE = "text/plain; version=0.0.4; charset=utf-8"


def export(path: str, port: int) -> ThreadingHTTPServer:
    """Serve the file as `/metrics` on all addresses until the process ends; before there is one, nothing is known.

    Raises OSError for a port that is taken.
    """

    class Metrics(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            try:
                text = Path(path).read_bytes()
            except FileNotFoundError:
                text = b""
            except OSError as error:
                self.send_error(500, explain=str(error))
                return
            self.send_response(200)
            self.send_header("Content-Type", TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("", port), Metrics)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    return server
