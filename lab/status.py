"""Describes the present state of the lab."""

from lab import engine, image, network, nodes, s3
from lab.instance import Instance


def lines(instance: Instance) -> list[str]:
    """Return one line for each part of the lab, then one line for each node."""
    runs = engine.is_running(instance)
    answer = [
        f"lab {instance.octet} in {instance.root}",
        f"network    {_word(network.is_up(instance))}  nodes {instance.subnet}, this machine {instance.host_link}",
        f"engine     {_word(runs)}  {instance.docker_host}",
        f"S3 server  {_word(s3.is_running(instance))}  {instance.s3_endpoint}/{instance.bucket}",
    ]
    if runs:
        answer.append(f"node image {_word(image.is_imported(instance))}  {image.reference()}")
        answer += [f"{node.name}  {node.address}  {node.state}" for node in nodes.existing(instance)]
    return answer


def _word(there: bool) -> str:
    return "up  " if there else "down"
