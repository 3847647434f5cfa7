"""What all tests share: properties without a deadline, and a quick start of S3 clients."""

from functools import cache

from botocore import session
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # which a busy machine, and not the code, would miss
settings.load_profile("unhurried")

# A new client reads a megabyte of JSON and looks into 400 folders for it, and most tests of S3 have clients of their own.
session.create_loader = cache(session.create_loader)
