"""The one error of the laboratory."""


class LabError(Exception):
    """Something the lab was asked for did not work.

    The message says what was being done, why it failed, and what to do next.
    """

    def __init__(self, doing: str, why: str, advice: str) -> None:
        super().__init__(f"{doing}: {why}. {advice}")
        self.doing = doing
        self.why = why
        self.advice = advice
