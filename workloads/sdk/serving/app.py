"""The endpoint as a Ray Serve application: import path `workloads.sdk.serving.app:build`, its arguments a `Config`."""

from dataclasses import fields
from typing import Any

from ray import serve
from starlette.types import ASGIApp

from workloads.sdk.contract.applications import App
from workloads.sdk.serving.http.application import ApplicationEndpoint
from workloads.sdk.serving.http.cors import shared_with
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.replica import Config, Replica, served_by

# Per replica: more than the proxy lets in. What waits in Serve would wait for bodies that arrive slowly, `/health` too;
# how much is held and computed at once the endpoint bounds itself.
MAX_ONGOING_REQUESTS = 2**15


@serve.ingress()
class Deployment:
    """A replica. Serve hands its ASGI messages straight to the endpoint."""

    def __init__(self, config: dict[str, Any]):
        self._replica = Replica(Config(**config), serve.get_replica_context().replica_tag)
        self._replica.start()  # before the replica is given requests

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return endpoint_of(self._replica)

    def check_health(self) -> None:
        """Asked by Serve, which replaces a replica that raises. A version that does not load is no reason to."""
        if not self._replica.follows:
            raise RuntimeError("the thread that follows the plan has ended")


def endpoint_of(replica: Replica) -> ASGIApp:
    """The ASGI application of a replica, by what it serves."""
    endpoint = ApplicationEndpoint(replica) if issubclass(replica.kind, App) else Endpoint(replica)
    return shared_with(replica.config.cors_origins, endpoint)


def build(args: dict[str, Any]) -> serve.Application:
    """The application of a `Config`, given as a mapping, and of `replicas`, their number."""
    names = {field.name for field in fields(Config)}
    config = {name: value for name, value in args.items() if name in names}
    served_by(Config(**config))  # what cannot be imported fails here, while the replicas that run go on
    deployment = serve.deployment(
        Deployment,
        name="endpoint",
        num_replicas=args.get("replicas", 1),
        ray_actor_options={"num_cpus": 0},  # training's workers get the machine's logical CPUs
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        health_check_period_s=5,
        graceful_shutdown_timeout_s=10,
        logging_config={"enable_access_log": False},  # the prediction log says more
    )
    return deployment.bind(config)
