"""The error of the laboratory."""


class LabError(Exception):
    """An operation of the lab failed.

    The message says what the lab was doing, why it failed, and what to do next.
    """

    def __init__(self, doing: str, why: str, advice: str) -> None:
        super().__init__(f"{doing}: {why}. {advice}")
        self.doing = doing
        self.why = why
        self.advice = advice
