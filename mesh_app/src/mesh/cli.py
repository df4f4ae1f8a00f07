"""The command `mesh`: one service, or one task of the operator."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mesh import __version__
from mesh.core.secrets import ConfigError

EXIT_CONFIG = 78
"""sysexits EX_CONFIG: the environment is wrong, so a restart does not help."""
EXIT_PIPE = 141
"""What a shell says of a program that SIGPIPE ended."""
_SERVICES = {
    "api-gateway": "the front: REST and GraphQL",
    "registry": "agents",
    "telemetry": "metric samples",
    "policy": "decisions about prompts",
    "federation": "agents of peer meshes",
    "ui": "web pages",
}


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given).parse_args(given)
    try:
        code = _run(options)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        print(f"mesh {options.command}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads, such as head, has enough; Python flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mesh", description="The AI-agent mesh. Configuration comes from MESH_* variables."
    )
    parser.add_argument("--version", action="version", version=f"mesh {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in _SERVICES.items():
        commands.add_parser(name, help=f"run the service: {purpose}")
    migrate = commands.add_parser("migrate", help="bring the database schema to this release's level")
    migrate.add_argument(
        "--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait for the database (60)"
    )
    doctor = commands.add_parser("doctor", help="say what is wrong with the configuration and what it points to")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    admin = commands.add_parser("admin", help="API keys, tokens, agents and policies by hand")
    if given[:1] == ["admin"]:
        from mesh.admin import add_nouns

        add_nouns(admin)
    return parser


def _run(options: argparse.Namespace) -> int:
    # Each command imports only what it needs: six idle processes share a small machine.
    if options.command == "migrate":
        from mesh.migrate import run_migrate

        return run_migrate(os.environ, options.wait)
    if options.command == "doctor":
        from mesh.doctor import run_doctor

        return run_doctor(os.environ, as_json=options.json)
    if options.command == "admin":
        from mesh.admin import run_admin

        return run_admin(options, os.environ)
    from mesh.core.log import set_up_logging
    from mesh.core.settings import load_settings

    settings = load_settings(options.command, os.environ)
    set_up_logging(settings.instance, settings.log_level)
    from mesh.core.runtime import Runtime
    from mesh.core.server import serve
    from mesh.service import service_app

    runtime = Runtime(settings)
    return serve(service_app(runtime), runtime)


if __name__ == "__main__":
    sys.exit(main())
