"""The policy pack: `pulumi up --policy-pack policy/start`. docs/policy.md explains it."""

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from rules import RULES, Rule, swarm_of


def policy(rule: Rule) -> StackValidationPolicy:
    """The rule as a policy of Pulumi."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        swarm = swarm_of([(one.resource_type, one.props) for one in args.resources])
        for fault in rule.lacking(swarm) if swarm else ():
            report(fault, None)

    return StackValidationPolicy(rule.name, rule.demands, validate)


PolicyPack("requorum", [policy(rule) for rule in RULES], EnforcementLevel.ADVISORY)
