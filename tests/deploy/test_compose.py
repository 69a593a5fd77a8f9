"""The compose file, the image's recipe and the entrypoint fit each other: without a container."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from typing import Any

import pytest

from broker.config import BrokerSettings
from p2pacs.settings import merged
from peer.config import PeerSettings
from tests.deploy.compose import COMPOSE, DEPLOY, VARIABLE, compose, example
from tests.deploy.conftest import ROOT
from tests.deploy.proxy import TEMPLATE

CONTAINER = DEPLOY / "container"


@pytest.fixture(scope="module")
def read() -> dict[str, Any]:
    return compose(example())


def test_every_variable_is_explained_and_used() -> None:
    used = set(VARIABLE.findall(COMPOSE.read_text()))
    assert used == set(example())
    assert not re.search(r"\$[^{]|\$\{[^}]*[^A-Z_}]", COMPOSE.read_text())


def test_what_is_named_is_there(read: dict[str, Any]) -> None:
    services = read["services"]
    for kind in ("networks", "volumes", "secrets", "configs"):
        named = [_name(one) for each in services.values() for one in each.get(kind, ())]
        assert {one for one in named if "/" not in one} == set(read[kind])
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists() or source == example()["TLS_FOLDER"]
    build = services["broker"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def _name(one: str | dict[str, str]) -> str:
    name = one["source"] if isinstance(one, dict) else one.partition(":")[0]
    return f"./{name}" if name.startswith(".") else name


def test_the_entrypoint_reads_every_variable_that_it_is_given(read: dict[str, Any]) -> None:
    program = (CONTAINER / "entrypoint.py").read_text()
    for service in read["services"].values():
        if "build" not in service:
            continue
        for name in service["environment"]:
            assert f'"{name}"' in program
        assert service["command"][0] in ("broker", "peer")
        assert f'arguments == ["{service["command"][0]}"]' in program


def test_every_member_gets_a_token_and_has_a_service(read: dict[str, Any]) -> None:
    services = read["services"]
    members = services["broker"]["environment"]["P2PACS_MEMBERS"].split()
    roles = dict(one.split("=") for one in members)
    peers = {name: one for name, one in services.items() if one.get("command") == ["peer"]}
    assert {one["environment"]["P2PACS_NAME"] for one in peers.values()} == set(roles)
    assert sorted(roles.values()) == ["hospital", "replica", "replica"]
    for name, one in peers.items():
        where = one["environment"].get("P2PACS_ADVERTISE", f"{name}:4711")
        assert where == f"{name}:4711"
        assert "tokens:/run/p2pacs/tokens" in one["volumes"]


def test_nginx_gets_what_its_template_asks_for(read: dict[str, Any]) -> None:
    nginx = read["services"]["nginx"]
    environment = nginx["environment"]
    assert set(environment) == set(VARIABLE.findall(TEMPLATE.read_text()))
    for name, where in environment.items():
        if name.endswith("_UPSTREAM"):
            host, _, port = where.partition(":")
            shared = set(read["services"][host]["networks"]) & set(nginx["networks"])
            assert "pages" in shared
            assert re.search(rf"^EXPOSE .*\b{port}\b", _recipe(), re.MULTILINE)


def test_the_settings_are_settings_and_name_the_proxy(read: dict[str, Any]) -> None:
    values = example()
    proxy = ipaddress.ip_address(values["PROXY_ADDRESS"])
    assert proxy in ipaddress.ip_network(values["PAGES_NETWORK"])
    told = {name: tomllib.loads(one["content"]) for name, one in read["configs"].items()}
    first = {"pacs": "dimse://A@h:104", "listen": ["h:1"], "web": {"listen": "0.0.0.0:8443"}}
    broker = BrokerSettings.model_validate(merged(told["broker"], first))
    first = {"name": "h", "listen": ["h:1"], "web": {"listen": "0.0.0.0:8443"}}
    hospital = PeerSettings.model_validate(merged(told["hospital"], first))
    names = read["services"]["nginx"]["environment"]
    assert broker.web.hosts == (names["BROKER_NAME"],)
    assert hospital.web.hosts == (names["PAGES_NAME"],)
    assert names["VIEWER_NAME"] in hospital.gateway.viewer_names
    assert names["DICOMWEB_NAME"] in hospital.gateway.dicomweb_names
    for web in (broker.web, hospital.web):
        assert (web.secure, web.secure_cookies) == (False, True)
        assert proxy in web.proxies[0]
        assert web.proxies[0].num_addresses == 1


def test_containers_have_no_rights_that_they_do_not_need(read: dict[str, Any]) -> None:
    for name, service in read["services"].items():
        if "build" in service:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "who wants more says so"


def _recipe() -> str:
    return (CONTAINER / "Dockerfile").read_text()


def test_the_image_is_built_from_what_is_there_and_runs_without_rights() -> None:
    recipe = _recipe()
    ignore = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", recipe, re.MULTILINE):
        *sources, _ = line.split()
        copied.update(sources)
        for source in sources:
            assert (ROOT / source).exists(), source
    assert copied == let_in
    assert re.findall(r"^USER (.*)$", recipe, re.MULTILINE) == ["10001:10001"]
    (checked,) = re.findall(r'^    CMD \["(.*)", "health"\]$', recipe, re.MULTILINE)
    assert f'ENTRYPOINT ["{checked}"]' in recipe
