"""What the harness knows of each platform: what it can show, and where an operator looks when something is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """`hints` by subject.

    `{unit}`, `{host}`, `{subject}`, `{logs}`, `{config}`, `{state}`, `{mesh}` and `{namespace}` are filled in.
    """

    name: str
    capabilities: frozenset[str]
    supervisor: str
    hints: dict[str, str]
    supervisor_socket: str = ""
    """File name of the supervisor's socket in the plan's `paths.run`."""


_SHARED_HINTS = {
    "plan": "ansible-playbook site.yml -i <the same inventory> applies the plan; --check --diff shows what it would do",
    "harness": "curl the service's /api/v1/verify-records; records older than an hour are swept by the next run",
    "rollout": "on the state host: {state}/rollouts; update.yml goes on, rollback.yml goes back",
    "backup": "on {host}: aimesh-backup status; journalctl -n 50 -u 'aimesh-backup-*'; docs/backup.md",
    "backup_promise": "set mesh_backup.engine: pgbackrest, or promise less with mesh_targets.rpo_s; docs/backup.md",
    "backup_drill": "on {host}: {state}/drills/restore.json; mend what it names and hold the drill again",
    "redis": "",
}

SYSTEMD = Platform(
    name="systemd",
    capabilities=frozenset(
        {
            "supervisor",
            "processes",
            "sockets",
            "files",
            "postgresql",
            "redis",
            "edge",
            "records",
            "slots",
            "monitoring",
            "backup",
        }
    ),
    supervisor="systemd",
    hints=_SHARED_HINTS
    | {
        "unit": "on {host}: systemctl status {unit}; journalctl -u {unit} -n 50",
        "edge": "on {host}: systemctl status aimesh-haproxy; journalctl -u aimesh-haproxy -n 50; the firewall",
        "smoke": "on {host}: journalctl -u 'aimesh-{subject}@*' -n 50",
        "network": "on {host}: ss -ltnp",
        "monitoring": "on {host}: journalctl -n 50 -u aimesh-prometheus (or -alertmanager, -alert-receiver)",
        "postgresql": "on {host}: journalctl -u 'postgresql@*' -n 50; sudo -u postgres psql",
        "redis": "on {host}: journalctl -u aimesh-redis -n 50; {config}/redis",
        "files": "on {host}: ls -l the path named; a deploy puts it right",
        "secrets": "on {host}: the path or process named; rotate the secret, it is to be taken as known",
        "records": "on {host}: ls -l {state}; a deploy writes it again",
    },
)

PROCESS = Platform(
    name="process",
    capabilities=frozenset({"supervisor", "processes", "sockets", "files", "postgresql", "redis", "records"}),
    supervisor="supervisord",
    supervisor_socket="supervisor.sock",
    hints=_SHARED_HINTS
    | {
        "unit": "tail -n 50 {logs}/{unit}.log; {logs}/supervisord.log",
        "edge": "tail -n 50 {logs}/aimesh-{subject}@a.log",
        "smoke": "tail -n 50 {logs}/aimesh-{subject}@a.log",
        "network": "ss -ltnp",
        "postgresql": "tail -n 50 {logs}/aimesh-postgresql.log",
        "redis": "tail -n 50 {logs}/aimesh-redis.log",
        "files": "ls -l the path named; make deploy puts it right",
        "secrets": "the path or process named; remove the local mesh with make destroy and deploy it anew",
        "records": "ls -l {state}; make deploy writes it again",
        "plan": "make deploy applies the plan",
    },
)

COMPOSE = Platform(
    name="compose",
    capabilities=SYSTEMD.capabilities | {"containers", "container_logs"},
    supervisor="compose",
    hints=_SHARED_HINTS
    | {
        "unit": "on {host}: docker ps --all --filter name={unit}; docker logs --tail 50 {unit}",
        "container": "on {host}: docker inspect {unit}; a deploy makes a container anew that is not as planned",
        "edge": "on {host}: docker logs --tail 50 aimesh-haproxy; the firewall",
        "smoke": "on {host}: docker logs --tail 50 aimesh-{subject}-a",
        "monitoring": "on {host}: docker logs --tail 50 aimesh-prometheus (or -alertmanager, -alert-receiver)",
        "network": "on {host}: ss -ltnp; cd {config}/compose && docker compose ps",
        "postgresql": "on {host}: docker logs --tail 50 aimesh-postgresql; docker exec -it aimesh-postgresql psql",
        "redis": "on {host}: docker logs --tail 50 aimesh-redis; {config}/redis",
        "files": "on {host}: ls -l the path named; a deploy puts it right",
        "secrets": "on {host}: the path, process or container named; rotate the secret, it is to be taken as known",
        "records": "on {host}: ls -l {state}; a deploy writes it again",
    },
)

KUBERNETES = Platform(
    name="kubernetes",
    capabilities=frozenset(
        {"supervisor", "containers", "postgresql", "redis", "slots", "network_policies", "monitoring", "backup"}
    ),
    supervisor="kubernetes",
    hints=_SHARED_HINTS
    | {
        "unit": "kubectl -n {namespace} describe pods -l app.kubernetes.io/component={subject}; logs --previous",
        "container": "kubectl -n {namespace} get pod -o yaml of {subject}; a deploy puts right what differs",
        "edge": "kubectl -n {namespace} get endpointslices,ingress; kubectl -n {namespace} describe service {subject}",
        "smoke": "kubectl -n {namespace} logs -l app.kubernetes.io/component={subject} --tail=50",
        "network": "kubectl -n {namespace} get networkpolicies; docs/kubernetes.md on network plugins",
        "postgresql": "kubectl -n {namespace} logs -l app.kubernetes.io/component=postgresql --tail=50",
        "redis": "kubectl -n {namespace} logs -l app.kubernetes.io/component=redis --tail=50",
        "monitoring": "kubectl -n {namespace} logs prometheus-0 --tail=50 (or alertmanager-0, alert-receiver-0)",
        "records": "kubectl -n {namespace} get configmap {mesh}-state-home; a deploy writes it again",
        "backup": "kubectl -n {namespace} exec postgresql-0 -c backup -- aimesh-backup status; "
        "logs postgresql-0 -c backup; docs/backup.md",
        "backup_drill": "kubectl -n {namespace} exec postgresql-0 -c backup -- aimesh-backup status --json; "
        "mend what its drill names and hold it again",
        "rollout": "kubectl -n {namespace} get configmap {mesh}-state-home; update.yml goes on, rollback.yml goes back",
    },
)

PLATFORMS: dict[str, Platform] = {platform.name: platform for platform in (SYSTEMD, PROCESS, COMPOSE, KUBERNETES)}
