"""The fixtures of a gate that judges traces, in a session of their own."""

from __future__ import annotations

import socket

# httpx loads it when it is first used. Within one of these tests that would be undone with the
# test, as pytester does with all modules, and httpx would know its exceptions no more.
import httpcore  # noqa: F401
import pytest

from pytest_orchestrator._stack.trace_store import TraceStore
from tests.small_services import HEALTHY
from tests.traced_application import Grafana, running

RUNBOOK = """
[run]
name = "small"

[agents.core]
role = "python-pro"
owns = ["core/"]

[tasks.core-one]
agent = "core"
phase = 1
brief = "brief.md"

[stacks.python]
recognised_by = ["main.py"]
start = ["{python}", "main.py", "{port}"]

[services.core]
agent = "core"
path = "core"
stack = "python"
port = 8000
environment = { OTEL_EXPORTER_OTLP_ENDPOINT = "{traces}" }

[gates.G1]
title = "it leaves a trace"
phase = 1
tests = "gates/test_g1.py"
needs = ["core-one"]
"""
# Leaves one span for each question, by hand.
SERVICE = """
import http.server, json, os, sys, time, urllib.request

def export(trace_id, parent_id):
    url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
    attributes = {"http.request.method": "GET", "http.route": "/ask"}
    said = [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()]
    said.append({"key": "http.response.status_code", "value": {"intValue": "200"}})
    resource = {"service.name": "core", "service.version": "1"}
    span = {
        "traceId": trace_id, "spanId": os.urandom(8).hex(), "parentSpanId": parent_id,
        "name": "GET /ask", "kind": 2, "attributes": said,
        "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns()),
    }
    batch = {
        "resource": {
            "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in resource.items()]
        },
        "scopeSpans": [{"spans": [span]}],
    }
    body = json.dumps({"resourceSpans": [batch]}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/ask":
            export(*self.headers["traceparent"].split("-")[1:3])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
GATE = """
import pytest

pytestmark = pytest.mark.gate("G1")

def test_trace(services, traces, http):
    url = services.start("core")["core"].url + "/ask"
    verdict = traces.judge(lambda headers: http.get(url, headers=headers), services=["core"])
    verdict.raise_for_findings()
"""
QUICK = "[traces]\ndeadline_s = 3\nsettle_s = 0.1\nready_s = 0.2\n"


def write(pytester: pytest.Pytester, traces: str, service: str = SERVICE) -> None:
    """A project with one service and one gate."""
    files = {
        "runbook.toml": RUNBOOK + QUICK + traces,
        "brief.md": "Do it.",
        "core/main.py": service,
        "gates/test_g1.py": GATE,
        "conftest.py": "from pytest_orchestrator import phase_fixture\n"
        'core_phase1 = phase_fixture("core", 1)\n',
    }
    for name, text in files.items():
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def judged(pytester: pytest.Pytester) -> tuple[int, str]:
    """Exit status and output of a session that judges the project."""
    done = pytester.runpytest_subprocess(
        "--agents=off", "--rejudge", "-n0", "gates", "--showlocals"
    )
    return int(done.ret), done.stdout.str() + done.stderr.str()


def external(store: TraceStore) -> str:
    """The runbook's lines that name another store."""
    return f'url = "{store.url}"\notlp = "{store.url}"\n'


@pytest.mark.slow
def test_a_gate_judges_with_a_store_of_its_own(pytester: pytest.Pytester) -> None:
    """Nothing has to be set up."""
    write(pytester, "")

    status, output = judged(pytester)

    assert status == 0, output


@pytest.mark.slow
def test_a_service_that_exports_nothing_fails_its_gate(pytester: pytest.Pytester) -> None:
    """With the cause, and who is to blame."""
    write(pytester, "", service=HEALTHY)

    status, output = judged(pytester)

    assert status == 1
    assert "core: no span of core came to the trace store" in output
    assert "FAILED" in output


@pytest.mark.slow
def test_a_gate_judges_with_the_store_and_the_grafana_that_the_runbook_names(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What services export arrives there, is asked for there, and the token is shown nowhere."""
    token = "glsa_0123456789"  # noqa: S105 - of a Grafana that is not one
    monkeypatch.setenv("GRAFANA_TOKEN", token)
    with TraceStore() as store, running(Grafana(store.url, token=token)) as grafana:
        write(pytester, external(store) + f'grafana = "{grafana.url}"\n')
        status, output = judged(pytester)
        arrived = store.record.received()
        grafana.token = "another"  # noqa: S105 - likewise
        refused, refusal = judged(pytester)

    assert status == 0, output
    assert [each.service for each in arrived] == ["core"]
    assert refused != 0
    assert "does not let us ask its datasource 'tempo'" in refusal
    assert "INFRA" in refusal
    assert token not in output + refusal
    written = [f for f in pytester.path.rglob("*") if f.is_file()]
    assert not [f for f in written if token.encode() in f.read_bytes()]


@pytest.mark.slow
def test_a_store_that_is_down_is_infra(pytester: pytest.Pytester) -> None:
    """The application is not to blame; the message says what to start."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody else gets the port, and nobody answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        write(pytester, f'url = "{url}"\notlp = "{url}"\n')
        status, output = judged(pytester)

    assert status != 0
    assert "INFRA" in output
    assert f"the trace store at {url} is not ready after 0.2 s" in output
    assert "FAILED" not in output
