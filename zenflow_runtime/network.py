"""With whom the operator's Pods may speak: the spec of their NetworkPolicy.

A NetworkPolicy knows addresses, ports, and Pods by labels. The operator needs the API server, which is no Pod, and
whose address no two clusters have alike; so unless it is given, any address may be reached, on the ports that API
servers have. What comes in is not narrowed by address: probes come from the node, reviews from the API server, and both
look different under each network plugin. A policy that is narrower breaks on some cluster; docs/install.md says how to
narrow it on one's own.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from attrs import frozen

from zenflow_runtime.webhook.listening import PORT as WEBHOOK_PORT

API_PORTS: Final = (443, 6443)
"""Of the Service `kubernetes` and of managed clusters, and of kubeadm, k3s and kind: which one a packet has when it is
looked at depends on the network plugin."""

DNS_PORTS: Final = (("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353))
"""Some managed clusters name the API server in Pods by a name, not an address. OpenShift's DNS listens on 5353."""


@frozen
class Network:
    """What is known of the network."""

    api_servers: tuple[str, ...] = ()
    """`ADDRESS/BITS:PORT` each; (): any address, on the usual ports."""

    def wrong(self) -> str:
        """What cannot be meant, or ""."""
        for each in self.api_servers:
            block, _, port = each.rpartition(":")
            if not port.isdecimal() or not 0 < int(port) < 65536 or "/" not in block or not _is_block(block):
                return (
                    f"--api-server: {each!r} is no block of addresses with a port: write for instance 10.0.0.1/32:6443"
                )
        return ""


def _is_block(text: str) -> bool:
    try:
        ip_network(text.strip("[]"))
    except ValueError:
        return False
    return True


def spec(network: Network, pods: dict[str, str], *, port: int, webhook: bool) -> dict[str, Any]:
    """The policy of these Pods, whose metrics and probes are on `port`."""
    inward = [port, *([WEBHOOK_PORT] if webhook else [])]
    dns = {"ports": [{"protocol": protocol, "port": number} for protocol, number in DNS_PORTS]}
    return {
        "podSelector": {"matchLabels": pods},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [_tcp(number) for number in inward]}],
        "egress": [dns, *_servers(network)],
    }


def _servers(network: Network) -> list[dict[str, Any]]:
    if not network.api_servers:
        return [{"ports": [_tcp(number) for number in API_PORTS]}]
    parts = [each.rpartition(":") for each in network.api_servers]
    return [
        {"to": [{"ipBlock": {"cidr": block.strip("[]")}}], "ports": [_tcp(int(number))]} for block, _, number in parts
    ]


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
