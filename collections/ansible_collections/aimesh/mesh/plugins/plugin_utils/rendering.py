"""HostState → what modules take: files with their content, and fingerprints that tell when a unit must restart.

Everything here is pure but for reading template files. The *identity* of a file is a SHA-256 that changes exactly when
what a unit would load changes; a file with secrets gets it from a rendering in which the keyed fingerprint of each
secret stands in for its value, so an identity never tells anything about a value.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Group, Unit, User

Plan = dict[str, Any]
PRIVATE_KEY = "AGE-SECRET-KEY-"


class RenderError(ValueError):
    """A template or a reference in a driver's HostState is wrong; the message is one sentence."""


@dataclass(frozen=True)
class RenderedFile:
    """A file as the module takes it. `content` is None when a secret in it does not exist yet (check mode only)."""

    path: str
    content: str | None
    owner: str
    group: str
    mode: str
    sensitive: bool
    validate: tuple[str, ...]
    identity: str

    def as_module_args(self) -> dict[str, Any]:
        """Content of a file with secrets goes into the suboption that is never logged."""
        args: dict[str, Any] = {
            "path": self.path,
            "owner": self.owner,
            "group": self.group,
            "mode": self.mode,
            "sensitive": self.sensitive,
            "validate": list(self.validate),
        }
        if self.content is not None:
            if self.sensitive:
                # Ansible takes what is between :// and @ for a password, and then no longer knows the text around it.
                args["secret_content"] = base64.b64encode(self.content.encode()).decode()
            else:
                args["content"] = self.content
        return args


def secret_stand_ins(plan: Plan, names: Iterable[str]) -> dict[str, str]:
    """Name → a text that identifies the secret's value without telling it.

    Raises RenderError for a name that the plan does not know.
    """
    stand_ins = {}
    for name in names:
        reference = plan["secrets"].get(name)
        if reference is None:
            raise RenderError(f"The plan has no secret {name}; it has {', '.join(sorted(plan['secrets'])) or 'none'}.")
        stand_ins[name] = f"secret:{reference['store']}:{reference['name']}:{reference['version']}:" + str(
            reference["fingerprint"]
        )
    return stand_ins


def missing_secrets(plan: Plan, names: Iterable[str]) -> list[str]:
    """Those of `names` that do not exist in their store yet."""
    return [name for name in names if name in plan["secrets"] and plan["secrets"][name]["fingerprint"] is None]


def _environment(templates: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(templates)] if templates else []),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(enabled_extensions=(), default_for_string=False),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["to_json"] = lambda value, indent=None: json.dumps(
        value, sort_keys=True, indent=indent, ensure_ascii=False
    )
    environment.filters["from_base64"] = lambda value: _from_base64(str(value))
    environment.filters["recipient"] = lambda value: _recipient(str(value))
    environment.filters["sha256"] = lambda value: hashlib.sha256(str(value).encode()).hexdigest()
    return environment


def _from_base64(value: str) -> str:
    """What was encoded; a stand-in for a secret is none, and stays as it is."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return value


def _recipient(value: str) -> str:
    """The public half of the mesh's key of age; a stand-in for the pair stays what it is, a private half never."""
    try:
        return str(json.loads(value)["recipient"])
    except (ValueError, KeyError, TypeError):
        if PRIVATE_KEY in value.upper():
            raise ValueError("the secret is a private key alone, and the pair is wanted (docs/secrets.md)") from None
        return value


def _text(environment: jinja2.Environment, file: File, plan: Plan, host: str, secrets: Mapping[str, str]) -> str:
    if file.text is not None:
        return file.text
    where = f"template {file.template}" if file.template is not None else "inline template"
    try:
        template = (
            environment.get_template(file.template)
            if file.template is not None
            else environment.from_string(file.inline or "")
        )
        return template.render(plan=plan, host=host, vars=file.vars, secrets=secrets)
    except jinja2.TemplateNotFound as error:
        raise RenderError(f"The file {file.path} needs the {where}; the role has no {error.name}.") from None
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(f"The {where} of {file.path} is wrong at line {error.lineno}: {error.message}.") from None
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise RenderError(f"The {where} of {file.path} cannot be rendered for {host}: {error}.") from None


def _check(file: File) -> None:
    given = [name for name in ("text", "template", "inline") if getattr(file, name) is not None]
    if len(given) != 1:
        raise RenderError(f"The file {file.path} needs one of text, template and inline; it has {given or 'none'}.")


def render_files(
    files: Iterable[File],
    plan: Plan,
    host: str,
    templates: Path | None,
    values: Mapping[str, str] | None,
) -> list[RenderedFile]:
    """Every file with its content.

    `values` holds the secrets' values; None renders no file that has secrets (its content is None), which is enough
    for identities. A secret that is missing from `values` leaves the file's content None too. Raises RenderError.
    """
    environment = _environment(templates)
    rendered = []
    for file in files:
        _check(file)
        stand_ins = secret_stand_ins(plan, file.secrets)
        seen = _text(environment, file, plan, host, stand_ins)
        content: str | None = seen
        if file.secrets:
            known = {name: values[name] for name in file.secrets if name in values} if values is not None else {}
            content = _text(environment, file, plan, host, known) if len(known) == len(stand_ins) else None
        rendered.append(
            RenderedFile(
                path=file.path,
                content=content,
                owner=file.owner,
                group=file.group,
                mode=file.mode,
                sensitive=bool(file.secrets),
                validate=file.validate,
                identity=hashlib.sha256(seen.encode()).hexdigest(),
            )
        )
    twice = [path for path, count in Counter(file.path for file in rendered).items() if count > 1]
    if twice:
        raise RenderError(f"The driver renders {', '.join(twice)} more than once for {host}.")
    return rendered


def secrets_of(files: Iterable[File]) -> list[str]:
    """Names of the secrets that files need, each once, in order."""
    return list(dict.fromkeys(name for file in files for name in file.secrets))


def unit_fingerprint(unit: Unit, identities: Mapping[str, str]) -> str:
    """`sha256:<hex>` over the release and the path and identity of each file that the unit loads.

    `identities` maps the paths of the host's files to their identities. Raises RenderError for a path not in it.
    """
    unknown = [path for path in unit.files if path not in identities]
    if unknown:
        raise RenderError(f"The unit {unit.name} loads {', '.join(unknown)}, which the driver does not render.")
    loaded = {"release": unit.release, "files": {path: identities[path] for path in unit.files}}
    canonical = json.dumps(loaded, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def plain(items: Iterable[Group | User | Directory]) -> list[dict[str, Any]]:
    """Groups, users and directories as dictionaries, tuples as lists."""
    return [
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(item).items()}
        for item in items
    ]
