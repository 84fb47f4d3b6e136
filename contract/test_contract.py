"""The contract as a test suite, one test a case: `pytest --pyargs klingkit.contract --klingkit-target URL`.

The plugin `klingkit.pytest_contract_plugin` sends the cases, once for all tests.
"""


def test_case(klingkit_verdict: str) -> None:
    """A case holds; else the verdict says what deviates."""
    assert not klingkit_verdict, klingkit_verdict
