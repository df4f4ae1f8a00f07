#!/usr/bin/python
"""Brings the container images of a release to one host, and takes away those that no release needs any more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: images
short_description: Container images of the mesh on one host
version_added: 1.1.0
description:
  - Asks the host's Docker Engine first, by image id. What is missing is loaded from an archive that the action plugin
    sends, or pulled by digest where the site has a registry.
  - Images that came through us and that neither the applied release nor the one before it needs are removed, one by
    one. Nothing is pruned, and an image that a container uses stays.
  - In a playbook the task has no options; the action plugin reads the rest from the plan.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  release: {description: Id of the release that the images are of., type: str, required: true}
  images:
    description: Images to have.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name in the release., type: str, required: true}
      reference: {description: What the Compose files name., type: str, required: true}
      id:
        description: Id of the image; empty for one that is known by the digest in its reference alone.
        type: str
        required: true
      pull: {description: Whether it comes from the registry in the reference., type: bool, default: false}
  archive: {description: Archive on the host with the images that are missing., type: path}
"""

EXAMPLES = r"""
- name: Host has the images of the release
  aimesh.mesh.images:
"""

RETURN = r"""
loaded:
  description: References of the images that were loaded, pulled or tagged, or would be.
  returned: success
  type: list
  elements: str
  sample: ["aimesh/mesh-app:1.1.0-0123abcd"]
needs_archive:
  description: Names of the images that the host lacks and no registry has; the action plugin sends them.
  returned: when there are any
  type: list
  elements: str
  sample: [mesh-app]
removed:
  description: References of images that went.
  returned: success
  type: list
  elements: str
  sample: ["aimesh/mesh-app:1.0.0-89abcdef"]
remote_calls:
  description: Remote calls that the task made.
  returned: always
  type: int
  sample: 1
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import DockerError, docker, inspect, run_docker
from ansible_collections.aimesh.mesh.plugins.module_utils.image_record import (
    OurImage,
    read_images,
    releases_kept,
    superfluous,
    write_images,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import read_applied, read_history

TRANSFER_TIMEOUT_S = 1800.0


def found_images(names: list[str], *, check_mode: bool) -> dict[str, list[str]]:
    """Id → references of those images that the engine has; on a host without one, check mode finds none."""
    try:
        lines = inspect("image", dict.fromkeys(names), "{{.Id}} {{json .RepoTags}} {{json .RepoDigests}}")
    except DockerError:
        if not check_mode:
            raise
        return {}
    found = {}
    for line in lines:
        image, tags, digests = line.split(" ", 2)
        found[image] = [*(json.loads(tags) or []), *(json.loads(digests) or [])]
    return found


def identified(images: list[dict[str, Any]], *, check_mode: bool) -> list[dict[str, Any]]:
    """The images, each with its id: of those that are known by reference alone the engine says it, once it has them."""
    found = []
    for image in images:
        lines: list[str] = []
        if not image["id"]:
            try:
                lines = inspect("image", [image["reference"]], "{{.Id}}")
            except DockerError:
                if not check_mode:
                    raise
        found.append(image | {"id": image["id"] or next(iter(lines), "")})
    return found


def bring(missing: list[dict[str, Any]], archive: str | None) -> None:
    """Load or pull what is missing. Raises HostChangeError."""
    if archive:
        docker("load", "--quiet", "--input", archive, timeout_s=TRANSFER_TIMEOUT_S)
    for image in missing:
        if image["pull"]:
            docker("pull", "--quiet", image["reference"], timeout_s=TRANSFER_TIMEOUT_S)
    named = [image for image in missing if image["id"]]
    found = found_images([image["id"] for image in named], check_mode=False)
    other = [f"{image['name']} ({image['id']})" for image in named if image["id"] not in found]
    if other:
        raise HostChangeError(
            f"The Docker Engine took {', '.join(other)} and has no image of that id; build the images of the release "
            "anew, or give the engine its classic image store (overlay2), which names images by their content."
        )


def prune(state_dir: str, release: str, images: list[OurImage]) -> list[str]:
    """Remove what no release needs; an image that is in use stays and is tried again by a later run."""
    applied = read_applied(state_dir)
    history = [str(entry["release"]) for entry in read_history(state_dir)]
    keep = releases_kept(release, applied["release"]["id"] if applied else None, history)
    going = superfluous(images, keep)
    seen = found_images([image.reference for image in going], check_mode=False)
    removed = []
    for image in going:
        # What now has the name of an image of ours and another content is not ours.
        there = image.reference in seen.get(image.id, [])
        if not there or run_docker(["image", "rm", image.reference]).returncode == 0:
            images.remove(image)
            removed += [image.reference] if there else []
    write_images(state_dir, images)
    return removed


def run(module: AnsibleModule) -> dict[str, Any]:
    params, dry = module.params, bool(module.check_mode)
    by_reference = [image["reference"] for image in params["images"] if not image["id"]]
    wanted = identified(params["images"], check_mode=dry)
    found = found_images([image["id"] for image in wanted if image["id"]], check_mode=dry)
    missing = [image for image in wanted if image["id"] not in found]
    unnamed = [
        image
        for image in wanted
        if image in missing or (image["reference"] not in by_reference and image["reference"] not in found[image["id"]])
    ]
    result: dict[str, Any] = {"changed": bool(unnamed), "removed": []}
    result["loaded"] = [image["reference"] for image in unnamed]
    if module._diff and unnamed:
        after = "".join(f"{image['reference']} {image['id']}\n" for image in unnamed)
        result["diff"] = {"before_header": "images", "after_header": "images", "before": "", "after": after}
    if dry:
        return result
    send = [image["name"] for image in missing if not image["pull"]]
    if send and not params["archive"]:
        return result | {"changed": False, "needs_archive": send}
    ours = [OurImage(params["release"], image["reference"], image["id"]) for image in wanted if image["id"]]
    recorded = read_images(params["state_dir"])
    if unnamed:
        # Recorded first: what an interrupted run brought is ours all the same.
        write_images(params["state_dir"], [*recorded, *ours])
        bring(missing, params["archive"])
        for image in unnamed:
            if not image["pull"]:
                docker("image", "tag", image["id"], image["reference"])
        ours = [
            OurImage(params["release"], image["reference"], image["id"])
            for image in identified(params["images"], check_mode=False)
        ]
    every = list(dict.fromkeys([*recorded, *ours]))
    if every != recorded:
        write_images(params["state_dir"], every)
    if superfluous_releases(every, params["release"]):
        result["removed"] = prune(params["state_dir"], params["release"], every)
        result["changed"] = result["changed"] or bool(result["removed"])
    return result


def superfluous_releases(images: list[OurImage], release: str) -> bool:
    """Whether there is more recorded than the release itself."""
    return any(image.release != release for image in images)


def main() -> None:
    image_options = {
        "name": {"type": "str", "required": True},
        "reference": {"type": "str", "required": True},
        "id": {"type": "str", "required": True},
        "pull": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "release": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "dict", "required": True, "options": image_options},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    with changing(module, "images"):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
