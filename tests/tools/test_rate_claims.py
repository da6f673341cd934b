"""Papers' claims: held where our rows hold them, short by so much where not, not measured where rows are missing."""

from __future__ import annotations

from tests.tools.claims import load_tool
from tests.tools.curve_rows import result, row, some

rate_claims = load_tool("rate_claims")


def lines_with(text: list[str], words: str) -> list[str]:
    return [line for line in text if words in line]


def test_what_was_not_measured_is_said() -> None:
    text = rate_claims.claims(some())
    (near,) = lines_with(text, "InfoCom is within")
    assert near.endswith("| not measured | - |  |")
    assert len(lines_with(text, "not measured")) == 5


def test_without_any_of_them_there_is_no_section() -> None:
    assert rate_claims.claims(result(row("none@max", 0.5))) == []


def test_a_claim_about_accuracy_holds_within_its_margin_and_says_what_it_lacks() -> None:
    rows = [row("infocom:paper@max", 0.9, to_raw=value) for value in (-0.009, -0.035)]
    held, missed = (lines_with(rate_claims.claims(result(one)), "InfoCom is within")[0] for one in rows)
    assert "| yes |  |" in held and "-0.009" in held
    assert "| no | 0.025 more than claimed" in missed


def test_bytes_are_compared_as_sent_and_as_the_formulas_charge() -> None:
    infocom = row("infocom:paper@max", 0.9, 10_000.0, formula=4_000.0)
    rival = row("where2comm:paper@max", 0.9, 1_000_000.0, formula=2_000_000.0)
    text = rate_claims.claims(result(infocom, rival))
    (line,) = lines_with(text, "440 times")
    assert "100.0 times: 1,000,000 B to 10,000 B; 500.0 times by the papers' formulas" in line
    assert "| no | 4.4 times short" in line
    (charged,) = lines_with(text, "infocom:paper: bytes of a message")
    assert "| 4,000 B | 10,000 B, 2.50 times as many | no |" in charged


def test_revqom_is_held_at_each_of_its_rates() -> None:
    text = rate_claims.claims(some())
    (line,) = lines_with(text, "18 bits per cell")
    assert "+0.001 [-0.250, +0.250] AP@0.3" in line and "| yes |" in line
