"""What all tests share: a property has no deadline, which a busy machine, and not the code, would miss."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
