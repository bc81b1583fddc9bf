"""The tools of the held-out tasks: plain typed functions with fixed answers, so that a run can be judged."""

from __future__ import annotations

from bench.tasks.counters import Day


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    return a * b


def subtract(a: float, b: float) -> float:
    """Subtract b from a."""
    return a - b


def divide(a: float, b: float) -> float:
    """Divide a by b."""
    return a / b


def celsius_to_fahrenheit(celsius: float) -> float:
    """Convert a temperature from degrees Celsius to degrees Fahrenheit."""
    return round(celsius * 9 / 5 + 32, 6)


def count_words(text: str) -> int:
    """Count the words in a text."""
    return len(text.split())


def get_order(order: int) -> str:
    """Look up an order and its status by its number."""
    return f"order {order}: paid, leaves the warehouse today"


def cancel_order(order: int) -> str:
    """Cancel an order by its number."""
    return f"order {order} is cancelled"


def track_parcel(code: str) -> str:
    """Find out where a parcel is by its tracking code."""
    return f"parcel {code}: in transit, expected tomorrow"


def search_products(query: str) -> str:
    """Search the shop's catalogue for products."""
    return f"3 articles found for {query}"


def opening_hours(day: Day) -> str:
    """Tell the shop's opening hours on a day of the week."""
    return f"{day}: 9:00 to 18:00"


def weather(city: str) -> str:
    """Get the weather forecast for a city."""
    return f"{city}: 17 degrees, light rain"


def current_time(city: str) -> str:
    """Tell the current time in a city."""
    return f"{city}: 14:05"


def convert_currency(amount: float, source: str, target: str) -> str:
    """Convert an amount of money from one currency to another.

    Args:
        amount: how much
        source: the currency to convert from
        target: the currency to convert to
    """
    return f"{amount:g} {source} are {amount * 0.9:g} {target}"


def set_timer(minutes: float) -> str:
    """Start a timer that rings after some minutes."""
    return f"the timer rings in {minutes:g} minutes"


def find_contact(name: str) -> str:
    """Look up a person's phone number in the contacts."""
    return f"{name}: +46 555 0101"


def send_message(to: str, text: str) -> str:
    """Send a text message to a person.

    Args:
        to: who gets the message
        text: what the message says
    """
    return f"sent to {to}: {text}"


def translate(text: str, language: str) -> str:
    """Translate a text into another language."""
    return f"{text} in {language}: …"
