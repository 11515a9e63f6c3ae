"""The profile k8s, offline: what it renders is what Dagster, its chart and Kubernetes take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from unittest.mock import MagicMock

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster._core.launcher import LaunchRunContext
from dagster_k8s import K8sRunLauncher
from kubernetes.client import ApiClient, BatchV1Api

from swiftbolt_assets.definitions import FILL_BARS
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.orchestration.configuration import configuration_files
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "registry.example.com:5000/swift/bolt:0.1.0"
URL = "postgresql://bolt%40us:secret-word@pg.internal:6432/bars"
DAGSTER_URL = "postgresql://bolt%40us:secret-word@pg.internal:6432/bars_dagster"
ENVIRONMENT = {
    "SWIFTBOLT_PROFILE": "k8s",
    "SWIFTBOLT_IMAGE": IMAGE,
    "SWIFTBOLT_NAMESPACE": "bolt-prod",
    "SWIFTBOLT_DATABASE_URL": URL,
    "MAX_CONCURRENT_JOBS": "12",
    "POLYGON_API_KEY": "hidden-key",
}
KUBERNETES = "1.31"
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""

#: The keys of Dagster's Helm chart in the sections that are used, from helm/dagster/schema/ of
#: github.com/dagster-io/dagster; its own validation of values refuses any other ones in most.
CHART: dict[str, set[str]] = {
    "": {
        *("dagsterWebserver", "dagster-user-deployments", "postgresql", "rabbitmq", "redis"),
        *("generatePostgresqlPasswordSecret", "generateCeleryConfigSecret", "flower", "ingress"),
        *("imagePullSecrets", "computeLogManager", "scheduler", "runLauncher", "pythonLogs"),
        *("dagsterDaemon", "busybox", "migrate", "telemetry", "serviceAccount", "global"),
        *("retention", "additionalInstanceConfig", "concurrency"),
    },
    "global": {"postgresqlSecretName", "dagsterHome", "serviceAccountName"},
    "postgresql": {
        *("image", "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword"),
        *("postgresqlDatabase", "postgresqlParams", "postgresqlScheme", "service"),
    },
    "dagsterWebserver": {"image", "replicaCount", "env", "envConfigMaps", "envSecrets"},
    "dagsterDaemon": {
        *("enabled", "image", "runCoordinator", "heartbeatTolerance", "env", "envConfigMaps"),
        *("envSecrets", "runMonitoring", "runRetries", "sensors", "schedules"),
    },
    "dagsterDaemon.runCoordinator": {"enabled", "type", "config"},
    "dagsterDaemon.runCoordinator.config": {"queuedRunCoordinator", "customRunCoordinator"},
    "dagsterDaemon.runCoordinator.config.queuedRunCoordinator": {
        *("maxConcurrentRuns", "tagConcurrencyLimits", "dequeueIntervalSeconds"),
        *("dequeueNumWorkers", "dequeueUseThreads"),
    },
    # What its template reads.
    "dagsterDaemon.runMonitoring": {
        *("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts"),
        *("pollIntervalSeconds", "freeSlotsAfterRunEndSeconds"),
    },
    "dagsterDaemon.runRetries": {"enabled", "maxRetries"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "dagster-user-deployments.deployments[]": {
        *("name", "image", "dagsterApiGrpcArgs", "codeServerArgs", "port", "env"),
        *("includeConfigInLaunchedRuns", "envConfigMaps", "envSecrets", "resources"),
    },
    "runLauncher": {"type", "config"},
    "runLauncher.config": {"celeryK8sRunLauncher", "k8sRunLauncher", "customRunLauncher"},
    "runLauncher.config.k8sRunLauncher": {
        *("image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile"),
        *("envConfigMaps", "envSecrets", "envVars", "volumeMounts", "volumes", "labels"),
        *("failPodOnRunFailure", "resources", "schedulerName", "securityContext", "runK8sConfig"),
    },
    "runLauncher.config.k8sRunLauncher.runK8sConfig": {
        *("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig"),
        "jobMetadata",
    },
    "computeLogManager": {"type", "config"},
    "retention": {"enabled", "schedule", "sensor", "autoMaterialize"},
    "telemetry": {"enabled"},
}


def rendered(**changes: str) -> dict[str, str]:
    return configuration_files(read_settings(ENVIRONMENT | changes), DAGSTER_URL)


def launcher(folder: Path, **config: object) -> K8sRunLauncher:
    """Return the launcher that Dagster makes of the rendered file, outside of a cluster."""
    (folder / "kubeconfig").write_text(KUBECONFIG)
    text = yaml.safe_load(rendered()["dagster.yaml"])
    outside = {"load_incluster_config": False, "kubeconfig_file": str(folder / "kubeconfig")}
    text["run_launcher"]["config"] |= outside | config
    (folder / "dagster.yaml").write_text(yaml.safe_dump(text))
    return cast("K8sRunLauncher", InstanceRef.from_dir(str(folder)).run_launcher)


def job_of(folder: Path) -> dict[str, Any]:
    """Return the job that the launcher asks Kubernetes for, given one of our runs."""
    loaded = launcher(folder)
    assert loaded.inst_data is not None
    api = MagicMock(spec=BatchV1Api)
    config = yaml.safe_load(loaded.inst_data.config_yaml)
    real = K8sRunLauncher(**config, k8s_client_batch_api=api)
    (folder / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(folder / "instance")) as instance:
        real.register_instance(instance)
        origin = dg._core.origin
        pointer = dg._core.code_pointer.ModuleCodePointer("swiftbolt_assets.definitions", "defs")
        run = instance.create_run_for_job(_job())
        repository = origin.RepositoryPythonOrigin(
            executable_path="python", code_pointer=pointer, container_image=IMAGE
        )
        run = run._replace(job_code_origin=origin.JobPythonOrigin(FILL_BARS, repository))
        real.launch_run(LaunchRunContext(run, None))
    (call,) = api.create_namespaced_job.call_args_list
    assert call.kwargs["namespace"] == "bolt-prod"
    found: dict[str, Any] = ApiClient().sanitize_for_serialization(call.kwargs["body"])
    return found


def _job() -> dg.JobDefinition:
    @dg.job(name=FILL_BARS)
    def fill() -> None:
        """Stand for the job: what is launched is only named."""

    return fill


def unknown_keys(values: dict[str, Any], place: str = "") -> list[str]:
    """Return the keys that the chart does not have, of the places that are known."""
    found = []
    for key, value in values.items():
        path = f"{place}.{key}" if place else key
        if place in CHART and key not in CHART[place]:
            found.append(path)
        if isinstance(value, dict):
            found += unknown_keys(value, path)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    found += unknown_keys(one, f"{path}[]")
    return found


def test_dagster_takes_the_launchers_configuration(tmp_path: Path) -> None:
    assert launcher(tmp_path).job_image == IMAGE


def test_dagster_refuses_a_key_that_its_launcher_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="job_namespce"):
        launcher(tmp_path, job_namespce="typo")


def test_kubernetes_takes_the_job_of_a_run(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["args"][:5] == ["python", "-m", "dagster", "api", "execute_run"]
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    sources = [name for one in container["envFrom"] for name in one]
    assert sources == ["configMapRef", "secretRef"]


def test_kubernetes_takes_what_stands_beside_the_chart() -> None:
    kinds = []
    for document in yaml.safe_load_all(rendered()["api.yaml"]):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        assert document["metadata"]["namespace"] == "bolt-prod"
        kinds.append(document["kind"])
    assert kinds == ["ConfigMap", "Job", "Deployment", "Service"]


def test_a_wrong_job_is_refused(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    job["spec"]["backofLimit"] = 0
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_the_chart_has_every_key_of_the_values() -> None:
    values = yaml.safe_load(rendered()["values.yaml"])
    assert unknown_keys(values) == []
    assert unknown_keys(values | {"runLaunch": {}}) == ["runLaunch"]


def test_names_that_yaml_would_read_otherwise_are_carried_as_they_are() -> None:
    url = "postgresql://us%22er%5C:secret@[fd00::1]/b%C3%A4rs%20%23%F0%9F%93%88%22_dagster"
    texts = configuration_files(read_settings(ENVIRONMENT), url)
    postgres = yaml.safe_load(texts["values.yaml"])["postgresql"]
    assert postgres["postgresqlHost"] == "fd00::1"
    assert postgres["postgresqlUsername"] == 'us"er\\'
    assert postgres["postgresqlDatabase"] == 'b\u00e4rs #\U0001f4c8"_dagster'


def test_the_values_carry_the_settings() -> None:
    values = yaml.safe_load(rendered()["values.yaml"])
    postgres = values["postgresql"]
    assert (postgres["postgresqlHost"], postgres["service"]["port"]) == ("pg.internal", 6432)
    assert postgres["postgresqlUsername"] == "bolt@us"
    assert postgres["postgresqlDatabase"] == "bars_dagster"
    image = {
        "repository": "registry.example.com:5000/swift/bolt",
        "tag": "0.1.0",
        "pullPolicy": "IfNotPresent",
    }
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["image"] == values["dagsterDaemon"]["image"] == image
    queue = values["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["maxConcurrentRuns"] == 13
    assert values["runLauncher"]["config"]["k8sRunLauncher"]["jobNamespace"] == "bolt-prod"


def test_no_file_carries_a_credential() -> None:
    texts = "".join(rendered().values())
    assert "secret-word" not in texts
    assert "hidden-key" not in texts


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("SWIFTBOLT_IMAGE", "SWIFTBOLT_IMAGE: "),
        ("SWIFTBOLT_DATABASE_URL", "SWIFTBOLT_DATABASE_URL: "),
    ],
)
def test_what_is_missing_is_named(missing: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        rendered(**{missing: ""})
