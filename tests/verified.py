"""What only `make verify` plays: full counts, and tests whose kind `make test` plays in another place."""

import os

import pytest

IS_VERIFIED = bool(os.environ.get("NETWRIGHT_VERIFY"))
VERIFIED = pytest.mark.skipif(not IS_VERIFIED, reason="part of `make verify`")
