"""Streams into a program and out of it into a file: no shell, every exit code counts, no plain text on the way."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import IO

from .command import RUN_TIMEOUT_S, BackupError, errors_of, kill, name_of, reason, start

CHUNK = 1 << 20


class BrokenReaderError(Exception):
    """Whoever fed a program has lost it: the program itself knows why."""


def pipe(first: Sequence[str], second: Sequence[str], target: IO[bytes], *, timeout_s: float = RUN_TIMEOUT_S) -> None:
    """`first | second > target`. Both have to succeed; the reason of the one that really failed is told.

    Raises BackupError; what is in `target` is then worth nothing.
    """
    sources: list[subprocess.Popen[bytes]] = []

    def abandon() -> None:
        for source in sources:
            kill(source)

    def feed(stdin: IO[bytes]) -> None:
        with start(first, subprocess.DEVNULL, stdin) as source, errors_of(source) as errors:
            sources.append(source)
            # Only the second program may hold the writing end's other side, or its end would not be noticed.
            stdin.close()
            source.wait()
        told = errors[0].decode(errors="replace")
        if source.returncode in (-signal.SIGPIPE, -signal.SIGKILL, 128 + signal.SIGPIPE) or "roken pipe" in told:
            raise BrokenReaderError(f"{name_of(first)} failed: {reason(told, '', source.returncode)}.")
        if source.returncode != 0:
            raise BackupError(f"{name_of(first)} failed: {reason(told, '', source.returncode)}.")

    through(feed, second, target, timeout_s=timeout_s, abandon=abandon)


def through(
    feed: Callable[[IO[bytes]], None],
    argv: Sequence[str],
    target: IO[bytes],
    *,
    timeout_s: float = RUN_TIMEOUT_S,
    abandon: Callable[[], None] = lambda: None,
) -> None:
    """What `feed` writes goes through the program into `target`. `feed` runs in a thread; `abandon` makes it end.

    Raises BackupError when the feeding, the program or the writing fails, or when it takes too long.
    """
    failures: list[BaseException] = []
    late = threading.Event()
    with start(argv, subprocess.PIPE, subprocess.PIPE) as sink, errors_of(sink) as errors:

        def stop() -> None:
            kill(sink)
            abandon()

        def expire() -> None:
            late.set()
            stop()

        feeder = threading.Thread(target=_feed, args=(feed, sink, failures), daemon=True)
        timer = threading.Timer(timeout_s, expire)
        timer.daemon = True
        feeder.start()
        timer.start()
        try:
            _drain(sink, target)
            if sink.wait() != 0:
                abandon()
            feeder.join()
        except BaseException as error:
            stop()
            feeder.join(10.0)
            if isinstance(error, OSError):
                raise BackupError(f"{target.name} cannot be written: {error.strerror}.") from None
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise BackupError(f"{name_of(argv)} and what feeds it did not end within {timeout_s:g} s and were stopped.")
    real = [each for each in failures if not isinstance(each, BrokenReaderError | BrokenPipeError)]
    if real:
        raise real[0]
    if sink.returncode != 0:
        told = reason(errors[0].decode(errors="replace"), "", sink.returncode)
        raise BackupError(f"{name_of(argv)} failed: {told}.")
    if failures:
        raise BackupError(f"{name_of(argv)} did not read everything: {failures[0]}")


def _feed(feed: Callable[[IO[bytes]], None], sink: subprocess.Popen[bytes], failures: list[BaseException]) -> None:
    assert sink.stdin is not None
    try:
        feed(sink.stdin)
        if not sink.stdin.closed:
            sink.stdin.flush()
    except BaseException as error:
        failures.append(error)
    finally:
        with contextlib.suppress(OSError):
            sink.stdin.close()


def _drain(sink: subprocess.Popen[bytes], target: IO[bytes]) -> None:
    """By us and not by the program itself: a full disk under a container's client is not always its exit code."""
    assert sink.stdout is not None
    while chunk := sink.stdout.read(CHUNK):
        target.write(chunk)
    target.flush()
