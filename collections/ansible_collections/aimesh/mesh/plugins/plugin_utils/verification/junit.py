"""The report as JUnit XML: one suite per area, one case per result."""

from __future__ import annotations

from xml.etree import ElementTree

from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult, Report


def junit(report: Report) -> bytes:
    """UTF-8 XML. A check that was not made is a `skipped` or an `error`, never a passed case."""
    areas: dict[str, list[CheckResult]] = {}
    for check in report.checks:
        areas.setdefault(check.id.partition(".")[0], []).append(check)
    root = ElementTree.Element("testsuites", _numbers(list(report.checks)) | {"name": f"aimesh {report.mesh}"})
    root.set("time", f"{report.duration_s:.3f}")
    for area, checks in areas.items():
        suite = ElementTree.SubElement(root, "testsuite", _numbers(checks) | {"name": area})
        suite.set("timestamp", report.started)
        for check in checks:
            _case(suite, check)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _numbers(checks: list[CheckResult]) -> dict[str, str]:
    def count(*statuses: str) -> str:
        return str(sum(check.status in statuses for check in checks))

    skipped = count("skip", "not_applicable")
    return {"tests": str(len(checks)), "failures": count("fail"), "errors": count("error"), "skipped": skipped}


def _case(suite: ElementTree.Element, check: CheckResult) -> None:
    where = f"{check.host} {check.instance}".strip()
    case = ElementTree.SubElement(suite, "testcase", {"classname": check.id, "name": f"{check.title} ({where})"})
    case.set("time", f"{check.seconds:.3f}")
    tag = {"fail": "failure", "error": "error", "skip": "skipped", "not_applicable": "skipped"}.get(check.status)
    if tag is None:
        return
    told = ElementTree.SubElement(case, tag, {"message": _clean(check.actual)})
    if check.status in ("fail", "error"):
        told.set("type", check.status)
        told.text = _clean(f"expected: {check.expected}\nactual: {check.actual}\nlook at: {check.hint}")


def _clean(text: str) -> str:
    # XML 1.0 has no place for control characters, which a broken service may well send.
    return "".join(char if char in "\t\n" or ord(char) >= 32 else "�" for char in text)
