"""Suites that every implementation of an interface must pass."""

import pytest

pytest.register_assert_rewrite("tests.conformance.pacs_suite")
