# SPDX-License-Identifier: Apache-2.0
"""Options and fixtures of the end-to-end tests."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Gateway, Origin  # noqa: E402
from harness.gateway import is_sanitized  # noqa: E402

# One listener, one upstream, everything forwarded. Tests put their own keys in.
BASE = """
version: 1
listeners:
  web:
    listen: "127.0.0.1:@web@"
    {listener}
upstreams:
  origin:
    servers: ["@origin@"]
    {upstream}
routes:
  {routes}
  - prefix: /
    upstream: origin
    {route}
admin: {{ listen: "127.0.0.1:@admin@" }}
workers: {workers}
{more}
"""


def base(listener="", upstream="", route="", routes="", workers=1, more=""):
    """The text of BASE with lines put in where they belong."""
    return BASE.format(listener=listener, upstream=upstream, route=route, workers=workers,
                       more=more, routes="\n  ".join(routes.strip().splitlines()))


def pytest_addoption(parser):
    parser.addoption("--gateway", default=os.environ.get("WEIR_GATEWAY"))
    parser.addoption("--quick", action="store_true")


def pytest_configure(config):
    config.addinivalue_line("markers", "address_space: limits it, which no sanitizer survives")
    config.addinivalue_line("markers", "begun_first(begin=): runs after all others, and is given "
                            "by `begun` what begin(gateway path) made before the first of them")


def pytest_collection_modifyitems(config, items):
    path = config.getoption("--gateway")
    if path and is_sanitized(path):
        items[:] = [i for i in items if i.get_closest_marker("address_space") is None]
    items.sort(key=lambda i: i.get_closest_marker("begun_first") is not None)


def pytest_runtestloop(session):
    """What takes half a minute does so while the other tests run."""
    for item in session.items:
        mark = item.get_closest_marker("begun_first")
        if mark is None:
            continue
        try:
            item.begun = mark.kwargs["begin"](os.path.abspath(item.config.getoption("--gateway")))
        except Exception as e:
            item.begun = e


@pytest.fixture
def begun(request):
    """See begun_first. It has an end()."""
    made = request.node.begun
    if isinstance(made, Exception):
        raise made
    yield made
    made.end()


@pytest.fixture(scope="session")
def gateway_path(request):
    path = request.config.getoption("--gateway")
    assert path, "--gateway PATH or WEIR_GATEWAY names the program under test"
    return os.path.abspath(path)


@pytest.fixture(scope="session")
def quick(request):
    return request.config.getoption("--quick")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "report_" + report.when, report)
    if report.when == "call" and report.failed:
        for gw in getattr(item, "gateways", []):
            report.sections.append(("gateway stderr", gw.stderr()[-4000:]))
            report.sections.append(("gateway access log", gw.stdout()[-4000:]))


@pytest.fixture
def start(request, gateway_path):
    """start(yaml, **names) runs a gateway until the test's end, and sees that it ends well."""
    begun = request.node.gateways = []

    def one(yaml, **kw):
        gw = Gateway(gateway_path, yaml, **kw)
        begun.append(gw)
        return gw
    yield one
    faults = []
    for gw in begun:
        crashed = gw.proc.poll()
        try:
            gw.stop()
        except AssertionError as e:
            faults.append(str(e))
        if crashed not in (None, 0, 1, 2, 3):
            faults.append("the gateway ended with %s:\n%s" % (crashed, gw.stderr()[-4000:]))
        if gw.sanitizer_report():
            faults.append(gw.sanitizer_report()[-6000:])
        gw.clean()
    assert not faults, "\n".join(faults)


@pytest.fixture
def origins():
    """origins(handler=...) makes an origin that ends with the test."""
    made = []

    def one(*args, **kw):
        made.append(Origin(*args, **kw))
        return made[-1]
    yield one
    for o in made:
        o.stop()


@pytest.fixture
def origin(origins):
    return origins()


@pytest.fixture
def pair(start, origins):
    """pair(handler, listener=..., route=...) -> (gateway, origin) on the base configuration."""
    def one(handler=None, on_head=None, on_connect=None, on_data=None, **parts):
        o = origins(handler, on_head=on_head, on_connect=on_connect, on_data=on_data)
        return start(base(**parts), origin=o.address), o
    return one
