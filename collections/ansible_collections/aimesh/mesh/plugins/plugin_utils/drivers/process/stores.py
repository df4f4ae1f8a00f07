"""PostgreSQL and Redis of the local mesh, out of the runtime folder, on loopback."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import login_secret, redis_rights
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import (
    POSTGRESQL_UNIT,
    REDIS_UNIT,
    Layout,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.supervisor_config import (
    ProgramSpec,
    program_file,
    program_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import (
    File,
    Login,
    PostgresqlCluster,
    Readiness,
    Unit,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

POSTGRESQL_STOP_S = 60
PERSISTENCE = {"aof": 'appendonly yes\nsave ""\n', "none": 'appendonly no\nsave ""\n'}


def files(plan: Plan, layout: Layout) -> list[File]:
    return [
        program_file(layout, _postgresql(layout)),
        program_file(layout, _redis(layout)),
        File(
            path=redis_config(layout),
            text=_redis_text(plan, layout),
            owner=layout.root,
            group=layout.owner,
            mode="0640",
        ),
        File(
            path=redis_users(layout),
            inline=_users_template(plan),
            secrets=("redis_password",),
            owner=layout.owner,
            group=layout.owner,
            mode="0600",
        ),
    ]


def units(plan: Plan, layout: Layout) -> list[Unit]:
    """Redis only: PostgreSQL's process is brought up by the `postgresql` module, which knows when it must restart."""
    ready = Readiness(tcp=(plan["redis"]["address"], plan["redis"]["port"]), timeout_s=20.0)
    return [
        Unit(REDIS_UNIT, (program_path(layout, REDIS_UNIT), redis_config(layout), redis_users(layout)), ready=ready)
    ]


def cluster(plan: Plan, layout: Layout) -> PostgresqlCluster:
    postgresql = plan["postgresql"]
    return PostgresqlCluster(
        manager="embedded",
        version=postgresql["version"],
        name=postgresql["cluster"],
        port=postgresql["port"],
        data_dir=layout.postgresql_data,
        bin_dir=layout.postgresql_bin,
        run_as=layout.user,
        socket_dir=layout.postgresql_socket_dir,
        listen=tuple(postgresql["listen"]),
        allow=tuple(postgresql["allow"]),
        settings=dict(postgresql["settings"]),
        database=postgresql["database"],
        owner=Login(postgresql["owner"], "db_owner_password"),
        logins=tuple(Login(name, login_secret(name), (postgresql["owner"],)) for name in postgresql["logins"]),
        # The wheel carries no contrib extensions.
        extensions=(),
        unit=POSTGRESQL_UNIT,
        supervisor=layout.supervisor_socket,
    )


def redis_config(layout: Layout) -> str:
    return f"{layout.config}/redis.conf"


def redis_users(layout: Layout) -> str:
    return layout.credential("redis-users.acl")


def _postgresql(layout: Layout) -> ProgramSpec:
    return ProgramSpec(
        name=POSTGRESQL_UNIT,
        argv=(f"{layout.postgresql_bin}/postgres", "-D", layout.postgresql_data),
        directory=layout.postgresql_data,
        environment={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": layout.run},
        stop_signal="INT",  # fast shutdown: sessions end, nothing is lost, no wait for clients
        stop_wait_s=POSTGRESQL_STOP_S,
    )


def _redis(layout: Layout) -> ProgramSpec:
    return ProgramSpec(
        name=REDIS_UNIT,
        argv=(layout.redis_server, redis_config(layout)),
        directory=layout.redis_data,
        environment={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": layout.run},
    )


def _redis_text(plan: Plan, layout: Layout) -> str:
    redis = plan["redis"]
    return (
        f"bind {' '.join(redis['listen'])}\n"
        f"port {redis['port']}\n"
        "protected-mode yes\n"
        "daemonize no\n"
        "loglevel notice\n"
        f'dir "{layout.redis_data}"\n'
        f'aclfile "{redis_users(layout)}"\n'
        f"maxmemory {redis['maxmemory_mb']}mb\n"
        f"maxmemory-policy {redis['policy']}\n"
        f"{PERSISTENCE[redis['persistence']]}"
    )


def _users_template(plan: Plan) -> str:
    """The mesh's user, by the hash of its password; nobody else gets in."""
    digest = "#{{ secrets['redis_password'] | sha256 }}"
    return f"user default off\nuser {plan['redis']['user']} on {digest} {redis_rights(plan)}\n"
