"""The command with which an operator consents to the plan that a watcher asks for."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli.console import FileOption, StackOption, app, examples, opened, out, show
from recovery.cli.progress import progress
from recovery.errors import OptionError
from recovery.operations import consents
from recovery.pipeline.consent_line import PLAN_ID


@app.command("consent", epilog=examples("requorum consent", "requorum consent r0123456789abcdef --withdraw"))
def consent(
    plan: Annotated[str, typer.Argument(metavar="[ID]", help="The plan's ID. Default: show what is asked.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the consent to this plan.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Consent to the plan that `requorum watch` asks for, from any operator's machine. Signs the consent with the SSH key.

    The watcher recovers by this plan only, once, and within a day. The ID is the consent: there is no question.
    """
    with opened(stack, config_file) as cluster:
        if plan and not PLAN_ID.fullmatch(plan):
            raise OptionError("ID", f"{plan} is no plan ID", remedy="requorum consent", code="bad-argument")
        if withdraw and not plan:
            raise OptionError("--withdraw", "needs the plan's ID", remedy="requorum consent", code="bad-argument")
        if not plan:
            with progress("reading what is asked"):
                question = consents.asked(cluster)
            show(question.lines if question else ("no watcher asks for a consent",))
            return
        with progress("storing the consent"):
            question = consents.give(cluster, plan, datetime.now(UTC), withdrawn=withdraw)
            _, attempt = consents.given(cluster, plan)
        show(question.lines[:-1])
        begun = f". {attempt.by} has begun the recovery" if attempt and not attempt.ended else ""
        if withdraw:
            out.print(f"withdrawn: the consent to plan {plan}{begun}", markup=False, soft_wrap=True)
        else:
            out.print(
                f"consented to plan {plan}. The next look of the watcher carries it out", markup=False, soft_wrap=True
            )
            out.print(
                f"next: requorum status. To withdraw: requorum consent {plan} --withdraw", markup=False, soft_wrap=True
            )
