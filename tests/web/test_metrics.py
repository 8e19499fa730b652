"""What several processes count together."""

import os

from mmconsole.web.metrics import Metrics

ROUTE = "/api/mattermost/magic-link"


def note(metrics: Metrics, *, times: int = 1, seconds: float = 0.004, status: int = 200) -> None:
    for _ in range(times):
        metrics.note(method="GET", route=ROUTE, status=status, seconds=seconds)


def requests(metrics: Metrics, *, status: int = 200) -> float:
    return value(metrics, f'mmconsole_http_requests_total{{method="GET",route="{ROUTE}",status="{status}"}}')


def value(metrics: Metrics, name: str) -> float:
    lines = metrics.text().decode().splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(name)), "nan"))


def test_all_processes_are_added_up_and_one_that_replaces_another_goes_on() -> None:
    metrics = Metrics(2)
    for times in (3, 4):
        child = os.fork()
        if not child:
            metrics.be(1)
            note(metrics, times=times)
            os._exit(0)
        os.waitpid(child, 0)

    note(metrics, times=5)
    note(metrics, status=404)

    assert requests(metrics) == 3 + 4 + 5
    assert requests(metrics, status=404) == 1


def test_times_are_told_by_bounds_that_hold_the_smaller_ones() -> None:
    metrics = Metrics(2)
    for process, seconds in enumerate((0.005, 60.0)):
        metrics.be(process)
        note(metrics, seconds=seconds)

    told = [value(metrics, f'mmconsole_http_seconds_bucket{{le="{bound}"') for bound in ("0.005", "30.0", "+Inf")]

    assert told == [1, 1, 2]
    assert value(metrics, "mmconsole_http_seconds_sum") == 60.005


def test_a_method_that_a_client_made_up_is_none_of_ours() -> None:
    metrics = Metrics()

    for number in range(5_000):
        metrics.note(method=f"X{number}", route="unknown", status=405, seconds=0.1)

    assert value(metrics, 'mmconsole_http_requests_total{method="other"') == 5_000
