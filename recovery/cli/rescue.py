"""The command that brings back the swarm of one manager without a stack file."""

import sys
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.asking import at_terminal
from recovery.cli.console import agree, answered, app, ended, examples, out, say
from recovery.cli.show.contract import FINE
from recovery.cli.show.rescue import found_lines, rescued_lines
from recovery.errors import Refused, SettingError
from recovery.operations.rescue import Rescue, Target, identity_file, reached
from recovery.planning.plan import Plan
from recovery.swarm.address import Address
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Ssh
from recovery.swarm.single import Single
from recovery.swarm.ssh_url import parse_url

STDIN = "-"
KNOWN_HOSTS = Path("~/.ssh/known_hosts")


LOOKED = "the swarm is as it was, or as far as the last line above says. next: run the same command again"


@app.command(
    "rescue",
    epilog=examples(
        "requorum rescue ssh://root@10.20.1.11",
        "requorum rescue ssh://root@10.20.1.11 --plan r0123456789abcdef",
    ),
)
def rescue(
    manager: Annotated[str, typer.Argument(help="The manager: ssh://root@HOST or ssh://root@HOST:PORT.")],
    plan: Annotated[str, typer.Option("--plan", help="The ID of the plan to carry out, without a question.")] = "",
    identity: Annotated[
        Path | None, typer.Option("--identity-file", help="Your private SSH key, instead of the one in ~/.ssh.")
    ] = None,
    known_hosts: Annotated[
        Path, typer.Option("--known-hosts-file", help="The file with the pinned host key.")
    ] = KNOWN_HOSTS,
    unlock_key: Annotated[
        str,
        typer.Option(
            "--unlock-key-file",
            help="The file with the unlock key of an autolocked swarm. - is standard input. A terminal asks for it.",
        ),
    ] = "",
    advertised: Annotated[
        str, typer.Option("--advertise-addr", help="The manager's address in the swarm, if its files do not tell it.")
    ] = "",
) -> None:
    """Bring back the swarm of one manager, without a stack file and without a copy in S3.

    Looks at the host and shows a plan. Its swarm stays as it is until you consent: at a terminal, or with --plan ID.
    """
    with ended(interrupted=LOOKED):
        target = _target(manager, identity, known_hosts, advertised)
        with reached(target, _key_reader(unlock_key), say=say) as rescuer:
            seen, made = rescuer.look()
            out.print("\n".join(found_lines(target.host, seen, made)))
            if made.refusal:
                doing = f"rescuing the swarm of {target.host}"
                raise Refused(doing, made.refusal.why, remedy=made.refusal.remedy, code=made.refusal.code)
            if not made.steps:
                raise typer.Exit(FINE)
            _require_consent(target, made, plan)
            _carry_out(target, rescuer, seen, made)


def _carry_out(target: Target, rescuer: Rescue, seen: Single, plan: Plan) -> None:
    rescued = rescuer.carry_out(seen, plan)
    out.print("\n".join(rescued_lines(target.host, seen, rescued)))


def _require_consent(target: Target, plan: Plan, given: str) -> None:
    """Go on if the plan needs no consent, or the operator gave its ID or says yes at a terminal. Raises: Refused; typer.Exit."""
    doing = f"rescuing the swarm of {target.host}"
    if plan.id in ("", given):
        return
    consent = f"requorum rescue {target.url} --plan {plan.id}"
    if given:
        raise Refused(
            doing,
            f"plan {given} is not the plan of this moment, which is {plan.id}",
            remedy=f"read the plan above, then: {consent}",
            code="plan-outdated",
        )
    if not at_terminal():
        raise Refused(
            doing,
            "nothing was changed in its swarm directory. The plan needs your consent",
            remedy=f"read the plan above, then: {consent}",
            code="consent-needed",
        )
    agree(f"carry out plan {plan.id}", yes=False)


def _target(manager: str, identity: Path | None, known_hosts: Path, advertised: str) -> Target:
    """The manager that the arguments name. Raises: SettingError."""
    try:
        url = parse_url(manager)
    except ValueError as error:
        raise SettingError(
            "(manager)", str(error), remedy="name it as ssh://root@HOST or ssh://root@HOST:PORT", code="bad-argument"
        ) from None
    key = identity.expanduser() if identity else identity_file()
    ssh = Ssh(user=url.user, port=url.port, private_key_file=key, known_hosts_file=known_hosts.expanduser())
    return Target(url.host, ssh, _address(advertised) if advertised else None)


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise SettingError(
            "(advertise address)",
            str(error),
            remedy="give an address: --advertise-addr 10.0.0.1",
            code="bad-argument",
        ) from None


def _key_reader(file: str) -> Callable[[], UnlockKey]:
    """Reads the unlock key when it is needed, once."""

    @cache
    def read() -> UnlockKey:
        try:
            return UnlockKey(_key_text(file).strip())
        except ValueError as error:
            raise _no_key(str(error)) from None
        except OSError as error:
            raise _no_key(f"{file}: {error.strerror}") from None

    return read


def _key_text(file: str) -> str:
    if file and file != STDIN:
        return Path(file).read_text()
    if file == STDIN:
        return sys.stdin.read()
    if not at_terminal():
        raise _no_key("the swarm is autolocked, and no unlock key is given")
    with answered(otherwise="give the key by --unlock-key-file FILE", stands="the swarm is as it was"):
        return str(typer.prompt("unlock key (docker swarm unlock-key told it)", hide_input=True))


def _no_key(why: str) -> SettingError:
    return SettingError(
        "(unlock key)", why, remedy="give the file of the unlock key: --unlock-key-file FILE", code="no-unlock-key"
    )
