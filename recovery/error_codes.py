"""The codes of errors, and what each means to an operator. `python -m recovery.error_codes` prints docs/errors.md."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """One kind of failure, in words for the operator who meets it."""

    meaning: str
    """What Requorum found."""
    cause: str
    """Why that happens, and why Requorum stops there."""
    action: str
    """What to do about it."""


CODES: Mapping[str, ErrorCode] = {
    # Keep the entries in alphabetical order.
    "access-denied": ErrorCode(
        meaning="A machine is up, but its SSH server accepts neither the user nor the key.",
        cause=(
            "`requorum:ssh.user` or `requorum:ssh.privateKeyFile` is wrong, or the key is not authorized on the "
            "machine."
        ),
        action="Correct the setting, or add the public key to `authorized_keys` on the machine.",
    ),
    "agent-cannot-run": ErrorCode(
        meaning="A manager lacks something that its agent needs.",
        cause=(
            "The agent needs systemd, Python 3.11, python3-cryptography and python3-nacl on the node, and a "
            "schedule that systemd understands. Requorum checks this before it changes anything."
        ),
        action="Install what the message names, or remove `requorum:agent`. Then run the same command again.",
    ),
    "agent-crashed": ErrorCode(
        meaning="A round of an agent ended with an unexpected error.",
        cause="This is a defect of Requorum. systemd starts the next round as usual. Copies in the spool stay.",
        action="Read `journalctl -u requorum-copy` on the node, and report the traceback.",
    ),
    "as-of-set": ErrorCode(
        meaning="The command cannot run while `requorum:backup.asOf` is set.",
        cause=(
            "The setting makes Requorum list the copies of an earlier time. To delete copies by an old list would be "
            "unsafe."
        ),
        action="Remove `requorum:backup.asOf`, then run the same command again.",
    ),
    "bad-argument": ErrorCode(
        meaning="An argument of the command is missing or cannot be used.",
        cause="The command stopped before it did anything.",
        action="Give the argument as the message says. `requorum COMMAND --help` explains it.",
    ),
    "ca-mismatch": ErrorCode(
        meaning="The copy's CA is not the CA that Pulumi's state has for this swarm.",
        cause=(
            "The CA was rotated after the last `pulumi up`, or the copy belongs to another swarm. No living node can "
            "tell which."
        ),
        action=(
            "If you rotated the CA, confirm the copy by name: `pulumi up --config copy=NAME`. Otherwise find out "
            "where the copy comes from."
        ),
    ),
    "command-failed": ErrorCode(
        meaning="A command on a node failed or did not end in time.",
        cause=(
            "The message shows the end of the command's output. Often a disk is full, a package is missing, or the "
            "node is overloaded."
        ),
        action="Repair the cause that the output names, then run the same command again.",
    ),
    "consent-needed": ErrorCode(
        meaning="A recovery is planned, and it needs your consent.",
        cause=(
            "The recovery restores a copy or forces a new cluster, so recent changes may be lost. Requorum does "
            "neither without consent."
        ),
        action="Read the plan, then consent to it with the command in the message.",
    ),
    "copy-damaged": ErrorCode(
        meaning="A copy is incomplete, or it is not what its manifest says.",
        cause=(
            "An upload was interrupted, a disk failed, or someone changed the object. Requorum never restores such a "
            "copy."
        ),
        action="Use another copy: `requorum backups`, or `requorum data list`. Take a new one with `requorum backup`.",
    ),
    "copy-does-not-fit": ErrorCode(
        meaning="The named copy cannot be restored into this service's data.",
        cause=(
            "The copy belongs to other data, or it was made from a volume while the stack file names commands, or "
            "the other way round."
        ),
        action="Choose another copy with `requorum data list`, or correct `requorum:data`.",
    ),
    "copy-forged": ErrorCode(
        meaning="The signature, certificates and keys of a copy do not belong together.",
        cause=(
            "The manager did not make this copy as it is now. Someone with write access to the bucket may have "
            "replaced it or altered its manifest."
        ),
        action="Use another copy: `requorum backups`. Find out who can write to the bucket.",
    ),
    "data-root-moved": ErrorCode(
        meaning="A manager's Docker engine keeps its data in another folder than `/var/lib/docker`.",
        cause=(
            "After a lost quorum, the engine cannot tell its folder. Then Requorum finds the raft log only in "
            "`/var/lib/docker`."
        ),
        action=(
            "Link `/var/lib/docker` to the folder on the node, as the message shows. `userns-remap` is not supported."
        ),
    ),
    "declared-lost": ErrorCode(
        meaning="A manager was not copied because it is declared lost.",
        cause="`requorum fence` declared it lost within the last hour, so Requorum does not wait for it.",
        action=(
            "Run `requorum status`. Recover the manager with `pulumi up`, or run the backup again after the "
            "declaration expires."
        ),
    ),
    "disk-failed": ErrorCode(
        meaning="A file could not be written or read on the machine that runs the command or the agent.",
        cause=(
            "The disk or the temporary folder is full, faulty or missing. Copies are stored there while they are "
            "checked."
        ),
        action=(
            "Free space, or repair what the message names. Then run the same command again. An agent tries again by "
            "itself."
        ),
    ),
    "engine-refused": ErrorCode(
        meaning="A node's Docker engine answered a request with an error.",
        cause="The message is the engine's own. Often the swarm has no leader, or a leader election is under way.",
        action="Run the command that the message names. Then run the same command again.",
    ),
    "engine-silent": ErrorCode(
        meaning="A node's Docker engine does not answer.",
        cause="The engine is stopped, hangs, or is too busy.",
        action="Run `systemctl status docker` on the node. `requorum doctor` lists commands that may repair the node.",
    ),
    "engine-too-old": ErrorCode(
        meaning="The engine on which the copy would be restored is older than the engine that wrote it.",
        cause=(
            "An older engine may fail on a newer raft log, or silently drop options of services that it does not "
            "support."
        ),
        action="Install the newer engine on that node, or name a copy of an older engine in `requorum:copy`.",
    ),
    "fence-command-failed": ErrorCode(
        meaning="The command in `requorum:hosts.fence` failed or did not end in time.",
        cause="The machine may still be running, so Requorum did not declare it lost.",
        action=(
            "Correct `requorum:hosts.fence`. Or switch the machine off yourself, then run `requorum fence NODE --lost`."
        ),
    ),
    "foreign-container": ErrorCode(
        meaning="A container or volume has a node's name, but not this cluster's label.",
        cause="Someone else made it. Requorum removes only containers and volumes with its own label.",
        action="Find out what it is. Remove it by hand if it is not needed.",
    ),
    "foreign-swarm": ErrorCode(
        meaning="A node belongs to a swarm that is not this cluster, or that no longer lists the node.",
        cause="The cluster's name or the node's address is wrong, or somebody used the machine for another swarm.",
        action=(
            "First check `requorum:cluster` and the node's address. If the node is not needed in that swarm, run on "
            "it: `docker swarm leave --force`."
        ),
    ),
    "forked-swarm": ErrorCode(
        meaning="Managers follow different leaders, so two swarms claim to be this cluster.",
        cause="A new cluster was forced while part of the old one was alive. Only you can decide which swarm to keep.",
        action=(
            "Decide which swarm to keep. On each manager of the other, run: `docker swarm leave --force`. Then run "
            "Requorum again."
        ),
    ),
    "host-engine-failed": ErrorCode(
        meaning="The Docker engine that runs the node containers did not answer, or did not do what was asked.",
        cause="That engine is down or overloaded, or `requorum:hosts.endpoint` is wrong.",
        action="Check that engine, then run the same command again.",
    ),
    "host-key-changed": ErrorCode(
        meaning="A machine shows another SSH host key than the pinned one.",
        cause=(
            "The machine was reinstalled, or another machine answers at its address. Requorum trusts only pinned keys."
        ),
        action=(
            "Find out which machine answers. If it is the right one, replace its line in `requorum:ssh.knownHostsFile`."
        ),
    ),
    "host-key-not-pinned": ErrorCode(
        meaning="No SSH host key is pinned for a machine.",
        cause="The known_hosts file has no line for its address, for example after the node was added or moved.",
        action="Check the machine's host key, then add it to the file with the `ssh-keyscan` command in the message.",
    ),
    "lease-held": ErrorCode(
        meaning="Another command is changing this cluster.",
        cause="Only one command at a time may change the quorum and the members. The message names its operator.",
        action=(
            "Wait until that command ends, then run yours again. If its process died, its lease expires after 10 "
            "seconds."
        ),
    ),
    "lease-lost": ErrorCode(
        meaning="Another command took over the lease of this one.",
        cause=(
            "This process did not renew its lease in time, for example because its machine slept. It stopped before "
            "the next change."
        ),
        action="Wait until the other command ends, then run the same command again.",
    ),
    "log-unreadable": ErrorCode(
        meaning="Requorum cannot read the raft log of a surviving manager.",
        cause="The log is damaged. It may still hold the newest changes, so Requorum forces no other manager past it.",
        action=(
            "Keep a copy of the manager's swarm directory. To recover without its log, follow the command in the "
            "message."
        ),
    ),
    "manager-moved": ErrorCode(
        meaning="The settings give a manager another address, and the swarm is alive.",
        cause="The swarm stores a manager's address in its log. The address can change only when all managers are lost.",
        action="Restore the old address in `requorum:managers`. To use the new address, add a manager with another name.",
    ),
    "manifest-invalid": ErrorCode(
        meaning="A copy's manifest is not readable.",
        cause="The object was cut off or altered, or another version of Requorum wrote it in an unsupported format.",
        action="Choose another copy: `requorum backups`.",
    ),
    "may-hold-swarm": ErrorCode(
        meaning="No manager reports a leader, and the machine may hold the only current state of the swarm.",
        cause="To fence it would destroy the state that the swarm could be rebuilt from.",
        action="Run `requorum doctor` and try its commands first. If they do not help, fence with `--force`.",
    ),
    "no-copy": ErrorCode(
        meaning="S3 has no copy that the command could use.",
        cause=(
            "No copy was taken yet, or `requorum:backup` or `requorum:cluster` names another place, or no copy is "
            "old enough."
        ),
        action=(
            "List the copies with `requorum backups` or `requorum data list`. Take one with `requorum backup` or "
            "`requorum data backup`."
        ),
    ),
    "no-escrow-recipients": ErrorCode(
        meaning="The swarm is autolocked, but `requorum:escrow.recipients` is not set.",
        cause=(
            "A copy of an autolocked swarm is useless without its unlock key, so Requorum stores the key with "
            "each copy."
        ),
        action="Make an identity with `age-keygen`, and set its public key as `requorum:escrow.recipients`.",
    ),
    "no-fence-command": ErrorCode(
        meaning="`requorum:hosts.fence` is not set, so Requorum cannot switch the machine off.",
        cause="Only the operator knows how to switch off an existing machine.",
        action="Set `requorum:hosts.fence`. Or switch the machine off yourself, then run `requorum fence NODE --lost`.",
    ),
    "no-good-copy": ErrorCode(
        meaning="All managers are lost, and no copy can be restored.",
        cause=(
            "S3 has no copy of this cluster where the settings point, or each copy is damaged, foreign or not "
            "openable here. Requorum creates no new swarm in place of a lost one."
        ),
        action=(
            "Read why each copy was passed over, with `requorum backups`. Correct `requorum:backup`, "
            "`requorum:cluster` or `requorum:backup.identityFile`, or bring the copies back."
        ),
    ),
    "no-leader": ErrorCode(
        meaning="No manager with a leader answers.",
        cause=(
            "The quorum is lost, an election is under way (up to 20 s), or the managers cannot be reached from this "
            "machine."
        ),
        action="Run `requorum status`. If the quorum is lost, run `requorum plan`.",
    ),
    "no-machine": ErrorCode(
        meaning="The recovery needs a machine that does not exist or does not answer.",
        cause=(
            "`requorum recover` makes no machines. On existing machines, you declared them lost, and no fresh machine "
            "answers at their addresses yet."
        ),
        action=(
            "If `requorum:hosts.driver` is `docker`, run `pulumi up` with the plan's ID. Otherwise start a fresh "
            "machine at one of the addresses, then run `pulumi preview`."
        ),
    ),
    "no-such-copy": ErrorCode(
        meaning="S3 has no copy of the given name.",
        cause="The name is misspelled, or the copy was pruned.",
        action="List the names with `requorum backups` or `requorum data list`.",
    ),
    "no-such-name": ErrorCode(
        meaning="Nothing has the name that you gave.",
        cause="The node, the data, the report or the mark does not exist, or its name is misspelled.",
        action="Use one of the names that the message or its command lists.",
    ),
    "no-such-service": ErrorCode(
        meaning="The swarm has no service of this name.",
        cause="The service was removed or renamed, or its name is misspelled in `requorum:data` or in the command.",
        action="Use one of the services that the message lists.",
    ),
    "no-survivor": ErrorCode(
        meaning="The quorum is lost, no manager has a usable log, and not every manager is known to be lost.",
        cause="At least one manager answers in a state that shows neither a loss nor a log.",
        action="Look at each manager: `requorum doctor`.",
    ),
    "no-unlock-key": ErrorCode(
        meaning="Escrow has no unlock key that opens this manager or copy.",
        cause="The key was never stored, or it belongs to another time.",
        action="If you kept the key, give it to `requorum escrow` on standard input.",
    ),
    "node-not-back": ErrorCode(
        meaning="A node did not become healthy in time after its engine or machine was restarted.",
        cause="The engine does not start, or the manager does not find a leader. Requorum then stops no other engine.",
        action="Run `requorum doctor`, and look at `journalctl -u docker` on the node.",
    ),
    "node-unreachable": ErrorCode(
        meaning="A node that the command needs does not answer, or Requorum cannot log in to it.",
        cause="The machine is off or too busy, its network is down, its address is wrong, or SSH refuses the login.",
        action="Run `requorum status` to see what each node answers. Then start the machine or correct its settings.",
    ),
    "not-lost": ErrorCode(
        meaning="The machine that is to be fenced is not lost.",
        cause="It answers, or the leader still reaches it. To switch it off would stop a running node.",
        action="Run `requorum doctor` for milder commands. To switch it off anyway, run `requorum fence NODE --force`.",
    ),
    "not-promotable": ErrorCode(
        meaning="A node cannot stand in for a lost manager now.",
        cause="It is already a manager, it is not Ready, the swarm has no leader, or no manager is missing.",
        action="Run `requorum doctor`. It names a worker that can stand in.",
    ),
    "nothing-to-fence": ErrorCode(
        meaning="The machine answers and is in no swarm.",
        cause="It holds no state of the swarm, so it is safe to use as it is.",
        action="Run `pulumi up`. The machine joins the swarm.",
    ),
    "nothing-to-recover": ErrorCode(
        meaning="`requorum:recover` is set, and there is nothing to recover.",
        cause=(
            "No node is in a swarm and S3 has no copy. Probably the settings point to the wrong bucket, prefix or "
            "cluster."
        ),
        action=(
            "Correct `requorum:backup` or `requorum:cluster`. To create a new swarm, remove the consent: `pulumi "
            "config rm recover`."
        ),
    ),
    "object-missing": ErrorCode(
        meaning="An object is not in S3.",
        cause="It was deleted, or it is stored under another prefix or at a site that did not answer.",
        action="List the copies: `requorum backups`.",
    ),
    "old-address-in-use": ErrorCode(
        meaning="A machine of this swarm still answers at an old address of a moved manager.",
        cause="A recovery at new addresses would create a second swarm while a part of the first is alive.",
        action="Recover at the old addresses, or switch that machine off for good, then run the same command again.",
    ),
    "plan-outdated": ErrorCode(
        meaning="The cluster is no longer in the state that the plan was made for.",
        cause=(
            "A node came back, another one was lost, or the copy or survivor changed after the preview. Nothing was "
            "done to them."
        ),
        action="Make a new plan (`pulumi preview`), read it, and consent to it.",
    ),
    "proof-failed": ErrorCode(
        meaning="The cluster is not what the settings and the copy describe.",
        cause=(
            "A node is not Ready, or has two entries, a check of the proof failed, or a node came back with another "
            "ID. Requorum reports no success before the proof holds."
        ),
        action="Repair what the message names (`requorum doctor`), then run the same command again.",
    ),
    "quorum-at-risk": ErrorCode(
        meaning="The command or step would stop or demote a manager that the quorum needs.",
        cause="Without this manager, no majority of the voting managers would be reachable.",
        action="Repair the other managers first: `requorum doctor`.",
    ),
    "recovery-under-way": ErrorCode(
        meaning="An agent takes no copy because a recovery is restoring the swarm.",
        cause="A copy of a half restored swarm would be useless. The agent continues after the proof.",
        action="Wait until the recovery is proven. If it was interrupted, run the same `pulumi up` again.",
    ),
    "restore-incomplete": ErrorCode(
        meaning="The files of a copy did not arrive on the node completely.",
        cause="The node's disk is probably full, or the transfer was interrupted. The node is unchanged.",
        action="Check the node's disk space, then run the same command again.",
    ),
    "s3-denied": ErrorCode(
        meaning="S3 denies the request, or there are no credentials for it.",
        cause=(
            "The access key is wrong or missing, or its policy does not allow the action. With a wrong clock, S3 "
            "denies every request."
        ),
        action="Correct the key, the policy or the clock, as the message says.",
    ),
    "s3-not-supported": ErrorCode(
        meaning="The S3 server or bucket does not support a setting.",
        cause=(
            "`requorum:backup.lock`, `requorum:backup.encryption` or `requorum:backup.asOf` needs a feature that the "
            "server or the bucket lacks, or that it ignores."
        ),
        action="List what the server supports (`requorum s3`). Use another bucket, or remove the setting.",
    ),
    "s3-refused": ErrorCode(
        meaning="S3 or its client refuses the request.",
        cause=(
            "The message has S3's own error code. Often the bucket does not exist, or a setting of `requorum:backup` "
            "is wrong."
        ),
        action="Correct the setting that the message names.",
    ),
    "s3-silent": ErrorCode(
        meaning="S3 does not answer, or answers that it cannot work now.",
        cause="The server is down, the network to it is broken, or `requorum:backup.endpoint` is wrong.",
        action="Start the server or repair the way to it. If the endpoint is wrong, correct `requorum:backup.endpoint`.",
    ),
    "s3-wrong-answer": ErrorCode(
        meaning="The server's answer is not what S3 answers, or an object is not as it was written.",
        cause="The endpoint is no S3 server, or the server or a proxy is faulty.",
        action="Check `requorum:backup.endpoint`, test the server with `requorum s3`, then run the same command again.",
    ),
    "second-manager-needed": ErrorCode(
        meaning="A manager cannot get its vote at a new address without a second manager.",
        cause=(
            "The swarm's log changes a manager's address only while another manager votes, and no other machine "
            "answers."
        ),
        action="Start the machine of another manager, in no swarm, then run the same command again.",
    ),
    "service-not-running": ErrorCode(
        meaning="No task of the service runs on a node of the stack file.",
        cause="Its data can be read only from a running container on a node that Requorum knows.",
        action="Run `docker service ps SERVICE` on a manager. Add a missing machine to `requorum:workers`.",
    ),
    "service-update-failed": ErrorCode(
        meaning="The update of a service did not complete.",
        cause="Its new tasks do not start, or take too long. The services after it were not touched.",
        action="Look at its tasks on a manager: `docker service ps SERVICE`.",
    ),
    "setting-invalid": ErrorCode(
        meaning="A setting has a value that cannot be used.",
        cause="Requorum checks the stack file and the files that it names before it changes anything.",
        action="Correct the setting that the message names.",
    ),
    "setting-missing": ErrorCode(
        meaning="A setting that the command needs is not set.",
        cause="The command stopped before it did anything.",
        action="Set it in the stack file.",
    ),
    "setting-unknown-key": ErrorCode(
        meaning="The stack file has a key that does not exist. Nothing was done.",
        cause="The key is misspelt, or it belongs to another version of Requorum.",
        action="Correct or remove the key.",
    ),
    "several-swarms": ErrorCode(
        meaning=(
            "Copies under the cluster's name belong to several swarms, or to another swarm than the one that Pulumi "
            "built."
        ),
        cause=(
            "Two clusters use the same prefix and name, or a swarm was created anew. Requorum does not guess which "
            "one is meant."
        ),
        action=(
            "Set `requorum:clusterId` to the ID of this cluster's swarm, or correct `requorum:backup`. The message "
            "lists the IDs."
        ),
    ),
    "silent-manager": ErrorCode(
        meaning="A manager does not answer, so it may be alive. Requorum refuses to act.",
        cause=(
            "A restored or forced swarm next to a living manager would be a second swarm. Silence is no proof of a "
            "loss."
        ),
        action=(
            "Bring the manager back, as `requorum doctor` says. If its machine is lost, confirm that: `requorum fence "
            "NODE`."
        ),
    ),
    "site-skipped": ErrorCode(
        meaning="A site of S3 does not answer, and this command needs every site.",
        cause="An object that is stored only there, such as a mark, may be what keeps a copy.",
        action="Repair the site, as the message says, then run the same command again.",
    ),
    "ssh-failed": ErrorCode(
        meaning="The SSH connection to a machine failed or was lost.",
        cause="The machine went down, the network broke, or sshd refused the session.",
        action="Check the machine and sshd's log there, then run the same command again.",
    ),
    "ssh-refused": ErrorCode(
        meaning="A machine is up, but refuses the SSH connection.",
        cause="sshd is not running, or it listens on another port than `requorum:ssh.port`.",
        action="Start sshd on the machine, or correct `requorum:ssh.port`.",
    ),
    "stand-in-holds-log": ErrorCode(
        meaning="The quorum is lost, and a promoted worker may hold the newest log.",
        cause=(
            "`requorum promote` made a worker a stand-in for a manager. Requorum forces no cluster from or past a "
            "stand-in."
        ),
        action="Recover by hand, as docs/runbooks/unhealthy-manager.md describes.",
    ),
    "still-answers": ErrorCode(
        meaning="After fencing, something still answers at the machine's address, or the leader still reaches it.",
        cause=(
            "The machine is not off, or another machine has its address. Requorum declares only silent machines lost."
        ),
        action="Make sure that the machine is off and stays off, then run the same command again.",
    ),
    "swarm-differs": ErrorCode(
        meaning="The swarm that came up is not the swarm that was to be recovered.",
        cause=(
            "The engine created an empty swarm or dropped objects, so the restore or the forced start failed. The "
            "node has left that swarm."
        ),
        action="Check the copies (`requorum verify`), make a new plan, and recover again.",
    ),
    "swarm-timeout": ErrorCode(
        meaning="The swarm did not complete a change in time.",
        cause=(
            "A node did not join, did not become Ready, or did not get or lose its role. Often a node cannot reach "
            "the managers."
        ),
        action="Find out why (`requorum doctor`), then run the same command again.",
    ),
    "unknown-format": ErrorCode(
        meaning="The manifest of a copy in an agent's spool has a format that this release does not know.",
        cause="Another release of Requorum took the copy. It stays in the spool.",
        action="Run `pulumi up` with the release that took it. Or delete its folder to give the copy up.",
    ),
    "unknown-manager": ErrorCode(
        meaning="A manager that the stack file does not name is up.",
        cause=(
            "The list in `requorum:managers` is incomplete, or somebody promoted a node. The surviving swarm may be "
            "there."
        ),
        action="Add the manager to `requorum:managers`, so that Requorum surveys it too.",
    ),
    "unlock-key-changed": ErrorCode(
        meaning="The unlock key changed while a copy was taken.",
        cause="Somebody rotated the key or switched autolock, so the swarm's key does not open the copy.",
        action="Take the copy again: `requorum backup`.",
    ),
    "unreadable-file": ErrorCode(
        meaning="A file that a setting names, or the stack file itself, cannot be read or has the wrong content.",
        cause="The file does not exist, the user may not read it, or it is not what the setting needs.",
        action="Correct the file, or name another one in the setting.",
    ),
    "wrong-identity": ErrorCode(
        meaning="None of the available age identities opens a copy or an unlock key.",
        cause=(
            "The copy or key is sealed to recipients whose identities are not in the identity file. It may also "
            "be damaged."
        ),
        action=(
            "Add the identity of one of its recipients to `requorum:backup.identityFile` or "
            "`requorum:escrow.identityFile`."
        ),
    ),
}


def as_markdown() -> str:
    """The page docs/errors.md: a section for each code."""
    head = "# Errors\n\nEvery error message ends with one of these codes. `--json` shows it as `code`.\n"
    sections = (
        f"\n## {code}\n\n{entry.meaning}\n\n- **Why:** {entry.cause}\n- **What to do:** {entry.action}\n"
        for code, entry in CODES.items()
    )
    return head + "".join(sections)


if __name__ == "__main__":
    print(as_markdown(), end="")
