"""The dashboard for Grafana: panels that fit, expressions that parse, metrics that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

import yaml

from tests.components.deploy_tools import find_promtool, judge
from tests.support.deployment import BY, DEPLOY, METRIC, families, yaml_of

if TYPE_CHECKING:
    from pathlib import Path

DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
COLUMNS = 24
UNITS = {"none", "s", "bytes", "percentunit", "cps", "Bps", "reqps", "ops"}
"""Of Grafana's units those in use; an unknown one would be shown as text behind each number."""


def expressions() -> list[str]:
    """Every expression of the dashboard, its variables filled in as Grafana does it."""
    found = [target["expr"] for panel in SHOWN for target in panel["targets"]]
    filled = [re.sub(r"\$__rate_interval", "1m", one) for one in found]
    return [re.sub(r"\$(?:job|instance)\b", ".*", one) for one in filled]


def test_panels_have_names_of_their_own_and_lie_side_by_side() -> None:
    """Ids and targets are told apart, and no panel covers another one."""
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    for one, other in combinations(PANELS, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (one["title"], other["title"])
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS
    for panel in SHOWN:
        assert panel["title"]
        assert panel["description"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0
        unit = panel["fieldConfig"]["defaults"].get("unit", "none")
        assert unit in UNITS, unit


def test_whose_numbers_is_chosen_on_the_dashboard() -> None:
    """Every panel asks the data source that was chosen, for the job and instances that were."""
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "job", "instance"}
    for panel in SHOWN:
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            for name in METRIC.findall(target["expr"]):
                asked = f'{name}{{job=~"$job", instance=~"$instance"}}'
                assert asked in target["expr"], target["expr"]


def test_prometheus_can_parse_every_expression(tmp_path: Path) -> None:
    """As promtool says, to which each is given as a rule."""
    asked = [{"record": f"of:panel:{n}", "expr": one} for n, one in enumerate(expressions())]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}), "utf-8")
    verdict = judge(find_promtool(), "check", "rules", rules)
    assert verdict.code == 0, verdict.text


def test_expressions_ask_for_what_there_is(metrics_page: str) -> None:
    """Every metric is on the page of a real server, with the labels it is summed and named by."""
    there = families(metrics_page)
    for panel in SHOWN:
        for target in panel["targets"]:
            names = METRIC.findall(target["expr"])
            assert set(names) <= set(there), panel["title"]
            labels = {label for name in names for label in there[name].labels}
            labels |= {"job", "instance", "le"}
            by = {label.strip() for one in BY.findall(target["expr"]) for label in one.split(",")}
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert by | legend <= labels, panel["title"]


def test_everything_that_is_counted_is_shown(metrics_page: str) -> None:
    """A metric that nobody looks at is not counted for anybody."""
    asked = {name for one in expressions() for name in METRIC.findall(one)}
    exposed = {re.sub(r"_(bucket|sum|count)$", "", name) for name in families(metrics_page)}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert exposed == shown


def test_compose_finds_the_dashboard_and_the_numbers() -> None:
    """Grafana of deploy/compose reads the dashboard from where the container has it."""
    (source,) = yaml_of("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    compose = yaml_of("compose/compose.yaml")["services"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml_of("grafana/provisioning/dashboards/otlp2parquet.yaml")["providers"]
    mounted = [one.split(":")[1] for one in compose["grafana"]["volumes"]]
    assert any(path.startswith(f"{provider['options']['path']}/") for path in mounted)
