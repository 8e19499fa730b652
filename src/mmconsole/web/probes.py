"""What a machine asks: whether the process lives, whether it can work, and how it is doing."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from mmconsole.core import Gateway
from mmconsole.web.journal import LOG
from mmconsole.web.metrics import Metrics


def routes(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["probes"])

    async def healthz() -> Response:
        """The process is there."""
        return JSONResponse({"status": "ok"})

    async def readyz() -> Response:
        """Database, Mattermost and keys are there."""
        found = await gateway.readiness.look()
        for name, said in found.items():
            if said != "ok":
                LOG.warning("not ready: %s: %s", name, said)
        ready = all(said == "ok" for said in found.values())
        # Which part it is may be known; its sentence names hosts and files, and is for the log.
        parts = {name: "ok" if said == "ok" else "failing" for name, said in found.items()}
        return JSONResponse({"status": "ok" if ready else "failing", **parts}, 200 if ready else 503)

    async def show() -> Response:
        """Counts and times for Prometheus, of all processes of the service together."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    for path, answer in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", show)):
        router.add_api_route(path, answer, methods=["GET"], response_model=None)
    return router
