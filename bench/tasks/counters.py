"""Tools of the small tasks: what clinics and banks do at their counters."""

from __future__ import annotations

from typing import Literal

#: Days of the week, as the tools take them.
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def book_appointment(doctor: str, day: Day) -> str:
    """Make an appointment with a doctor on a day of the week."""
    return f"appointment with {doctor} on {day}"


def cancel_appointment(number: int) -> str:
    """Cancel an appointment by its number."""
    return f"appointment {number} is cancelled"


def test_results(patient: int) -> str:
    """Show the results of a patient's last blood test, by patient number."""
    return f"patient {patient}: nothing unusual"


def find_medicine(name: str) -> str:
    """Search the pharmacy for a medicine."""
    return f"{name} is in stock"


def visiting_hours(ward: str) -> str:
    """Tell when visitors may come to a ward."""
    return f"{ward}: 14:00 to 18:00"


def balance(account: int) -> str:
    """Show how much money is in an account."""
    return f"account {account}: 1,204.50"


def transfer(amount: float, recipient: str) -> str:
    """Transfer money to somebody."""
    return f"{amount:g} sent to {recipient}"


def block_card(digits: str) -> str:
    """Block a lost or stolen card, by its last four digits."""
    return f"card {digits} is blocked"


def find_branch(city: str) -> str:
    """Find the bank's nearest branch in a city."""
    return f"{city}: Market Street 1"


def exchange_rate(currency: str) -> str:
    """Get today's exchange rate of a currency."""
    return f"{currency}: 1.0921"
