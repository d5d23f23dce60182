"""The manifests for Kubernetes: valid by its own schemas, consistent, and fitting the product."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import Flags, load
from tests.components.deploy_tools import build_deploy_tools, judge
from tests.support.deployment import (
    DEPLOY,
    STOP_SECS,
    documents,
    environment_of_image,
    needed_bytes,
    variables,
    yaml_of,
)
from tests.support.server_process import Server

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.config import Config

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.29", "1.37")
"""The oldest that has all that is used, and the newest whose schemas there are."""
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
POD = yaml_of("kubernetes/statefulset.yaml")["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


def size(text: str) -> int:
    """A quantity of Kubernetes in bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """What the ConfigMap says, read by the product."""
    path = tmp_path / "config.toml"
    path.write_text(yaml_of("kubernetes/configmap.yaml")["data"]["config.toml"], "utf-8")
    loaded = load(Flags(config=path), environ=environment_of_image(), folder=tmp_path)
    assert loaded.warnings == ()
    return loaded.config


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_manifests(version: str) -> None:
    """Each document fits the schema of its kind, and has no field that the schema has not."""
    tool = build_deploy_tools() / "kubernetes-validate"
    verdict = judge(tool, "--kubernetes-version", version, "--strict", *MANIFESTS)
    assert verdict.code == 0, verdict.text
    kinds = sum(len(documents(path)) for path in MANIFESTS)
    assert verdict.text.count(" passed for resource ") == kinds, verdict.text


def test_kustomize_names_every_manifest() -> None:
    """`kubectl apply -k` applies all that is here."""
    named = yaml_of("kubernetes/kustomization.yaml")["resources"]
    assert sorted(named) == [path.name for path in MANIFESTS]


def test_names_and_labels_lead_to_each_other() -> None:
    """Services and the budget select the pods; the set names a Service, account and ConfigMap."""
    labels = POD["metadata"]["labels"].items()
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for path in MANIFESTS:
        for one in documents(path):
            by_kind.setdefault(one["kind"], []).append(one)
    for service in by_kind["Service"]:
        assert service["spec"]["selector"].items() <= labels
        ports = {port["name"] for port in CONTAINER["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    (budget,) = by_kind["PodDisruptionBudget"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    (pods,) = by_kind["StatefulSet"]
    assert pods["spec"]["selector"]["matchLabels"].items() <= labels
    headless = [one for one in by_kind["Service"] if one["spec"].get("clusterIP") == "None"]
    assert [one["metadata"]["name"] for one in headless] == [pods["spec"]["serviceName"]]
    (account,) = by_kind["ServiceAccount"]
    assert POD["spec"]["serviceAccountName"] == account["metadata"]["name"]
    (settings,) = by_kind["ConfigMap"]
    (volume,) = POD["spec"]["volumes"]
    assert volume["configMap"]["name"] == settings["metadata"]["name"]


def test_the_log_lies_on_the_volume_of_the_pod(config: Config) -> None:
    """What was acknowledged is there when the pod comes back, on a disk that has room for it."""
    mounts = {one["name"]: one["mountPath"] for one in CONTAINER["volumeMounts"]}
    (claim,) = yaml_of("kubernetes/statefulset.yaml")["spec"]["volumeClaimTemplates"]
    assert str(config.log_path).startswith(f"{mounts[claim['metadata']['name']]}/")
    # Two pods on one log would be refused by the second one's start.
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert (
        size(claim["spec"]["resources"]["requests"]["storage"]) >= 2 * config.durability.max_bytes
    )


def test_memory_fits_the_settings(config: Config) -> None:
    """What is documented as its most is below the limit."""
    assert size(CONTAINER["resources"]["limits"]["memory"]) >= needed_bytes(config)


def test_a_stop_has_the_time_that_it_takes() -> None:
    """It is killed when the product has given up, not before."""
    _, pause = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert POD["spec"]["terminationGracePeriodSeconds"] >= int(pause) + STOP_SECS + 5


def test_probes_ask_what_there_is(tmp_path: Path) -> None:
    """Each path answers with 200 on a server that is well, on the port of OTLP/HTTP."""
    ports = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
    image = environment_of_image()
    assert image["OTLP2PARQUET_SERVER_LISTEN_ADDR"] == f"0.0.0.0:{ports['otlp-http']}"
    assert image["OTLP2PARQUET_SERVER_GRPC_ADDR"] == f"0.0.0.0:{ports['otlp-grpc']}"
    probes = {name: CONTAINER[name]["httpGet"] for name in CONTAINER if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    annotations = POD["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(ports["otlp-http"])
    with Server(tmp_path) as server:
        paths = [probe["path"] for probe in probes.values()]
        for path in [*paths, annotations["prometheus.io/path"]]:
            with urllib.request.urlopen(f"http://{server.host}:{server.port}{path}") as answer:
                assert answer.status == 200
    assert {probe["port"] for probe in probes.values()} == {"otlp-http"}


def test_the_pod_may_do_nothing_else() -> None:
    """Not root, a file system that is read only, no capability, no token of the cluster."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user is not None
    pod, alone = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert [str(pod["runAsUser"]), str(pod["fsGroup"])] == list(user.groups())
    assert alone["readOnlyRootFilesystem"]
    assert not alone["allowPrivilegeEscalation"]
    assert alone["capabilities"] == {"drop": ["ALL"]}
    assert POD["spec"]["automountServiceAccountToken"] is False


def test_variables_are_settings() -> None:
    """And Kubernetes adds none that look like ours."""
    assert {one["name"] for one in CONTAINER["env"]} <= variables()
    assert POD["spec"]["enableServiceLinks"] is False
    commented = (FOLDER / "statefulset.yaml").read_text("utf-8")
    assert set(re.findall(r"OTLP2PARQUET_\w+", commented)) <= variables()
