"""The rules and alerts for Prometheus: valid, tested, of metrics that there are, and explained."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.components.deploy_tools import find_promtool, judge
from tests.support.deployment import BY, DEPLOY, METRIC, families, yaml_of

FOLDER = DEPLOY / "prometheus"
PAGE = DEPLOY.parent / "docs" / "operations.md"
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that a scrape or a histogram adds."""


def rules() -> list[dict[str, Any]]:
    """All rules: recorded ones and alerts."""
    files = ("prometheus/recording.yaml", "prometheus/alerts.yaml")
    return [rule for file in files for group in yaml_of(file)["groups"] for rule in group["rules"]]


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    """As promtool says, which is Prometheus itself; a rule that is there twice is an error."""
    verdict = judge(find_promtool(), "check", "config", FOLDER / "prometheus.yaml")
    assert verdict.code == 0, verdict.text
    linted = [FOLDER / "recording.yaml", FOLDER / "alerts.yaml"]
    verdict = judge(find_promtool(), "check", "rules", "--lint=all", "--lint-fatal", *linted)
    assert verdict.code == 0, verdict.text


def test_the_rules_do_what_they_say() -> None:
    """Each alert fires in its trouble and not before, and none while all is well."""
    verdict = judge(find_promtool(), "test", "rules", FOLDER / "rules_test.yaml")
    assert verdict.code == 0, verdict.text


def test_every_rule_has_a_unit_test() -> None:
    """An alert that nobody has seen fire is none."""
    tested = (FOLDER / "rules_test.yaml").read_text("utf-8")
    for rule in rules():
        name = rule.get("alert") or rule["record"]
        assert re.search(rf'alertname="{name}", alertstate="firing"|expr: .*{name}', tested), name


def test_the_page_of_metrics_is_what_prometheus_expects(metrics_page: str) -> None:
    """Names, types and units of /metrics are as promtool wants them."""
    verdict = judge(find_promtool(), "check", "metrics", stdin=metrics_page.encode())
    assert verdict.code == 0, verdict.text


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_there_is(rule: dict[str, Any], metrics_page: str) -> None:
    """Every metric of a rule is on the page of a real server, with the labels it is summed by."""
    there = families(metrics_page)
    names = METRIC.findall(rule["expr"])
    assert names or rule["expr"].startswith("up{"), rule
    assert set(names) <= set(there), set(names) - set(there)
    labels = {label for name in names for label in there[name].labels} | OF_PROMETHEUS
    wanted = {label.strip() for by in BY.findall(rule["expr"]) for label in by.split(",")}
    assert wanted <= labels, wanted - labels
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations", ""))))
    assert shown <= (wanted or labels), shown


def test_every_alert_is_explained() -> None:
    """Who is woken finds what it means and what to do."""
    explained = re.findall(r"^\| `(Otlp2parquet\w+)` \| ", PAGE.read_text("utf-8"), re.MULTILINE)
    alerts = {rule["alert"]: rule for rule in rules() if "alert" in rule}
    assert sorted(explained) == sorted(alerts)
    for rule in alerts.values():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
