"""The tools of the tasks the router was tuned on: plain typed functions with fixed answers."""

from __future__ import annotations

import math
from typing import Literal


def minus(x: float, y: float) -> float:
    """Subtract y from x."""
    return x - y


def square(x: float) -> float:
    """Square a number."""
    return x * x


def reverse_text(text: str) -> str:
    """Reverse the characters of a text."""
    return text[::-1]


def define(word: str) -> str:
    """Look up the meaning of a word in the dictionary."""
    return f"{word}: see the dictionary, page {len(word)}"


def find_book(title: str) -> str:
    """Search the library's catalogue for a book by its title."""
    return f"{title}: two copies, shelf 4"


def borrow_book(title: str, card: int) -> str:
    """Lend a book to the holder of a library card."""
    return f"{title} is lent to card {card}"


def return_book(title: str) -> str:
    """Return a borrowed book."""
    return f"{title} is returned"


def fine(card: int) -> str:
    """Show the fines to pay on a library card."""
    return f"card {card}: 3.50 to pay"


def reserve_room(room: Literal["small", "medium", "large"]) -> str:
    """Reserve a reading room."""
    return f"the {room} room is yours"


def lights(room: str, state: Literal["on", "off"]) -> str:
    """Turn the lights in a room on or off."""
    return f"lights in the {room} are {state}"


def thermostat(degrees: float) -> str:
    """Set the temperature of the heating."""
    return f"heating set to {degrees:g} degrees"


def play_music(artist: str) -> str:
    """Play music by an artist."""
    return f"playing {artist}"


def set_alarm(time: str) -> str:
    """Set an alarm for a time of day."""
    return f"alarm set for {time}"


def add_to_shopping_list(item: str) -> str:
    """Add an item to the shopping list."""
    return f"{item} is on the list"


def rectangle_area(width: float, height: float) -> float:
    """Calculate the area of a rectangle."""
    return width * height


def square_root(x: float) -> float:
    """Calculate the square root of a number."""
    return math.sqrt(x)


def stock_price(symbol: str) -> str:
    """Get the price of a company's shares on the stock market."""
    return f"{symbol}: 101.20"


def population(country: str) -> str:
    """Tell how many inhabitants a country has."""
    return f"{country}: 10 million people"


def convert_units(value: float, source: str, target: str) -> str:
    """Convert a value from one unit of measurement to another.

    Args:
        value: the number to convert
        source: the unit to convert from
        target: the unit to convert to
    """
    return f"{value:g} {source} in {target}: …"


def tip(amount: float, percent: float) -> float:
    """Calculate the tip on a bill."""
    return round(amount * percent / 100, 2)


def split_bill(total: float, people: int) -> float:
    """Split a bill evenly between people."""
    return round(total / people, 2)


def uppercase(text: str) -> str:
    """Write a text in capital letters."""
    return text.upper()


def count_letter(text: str, letter: str) -> int:
    """Count how often a letter occurs in a text."""
    return text.lower().count(letter.lower())


def book_room(guest: str, nights: int) -> str:
    """Book a hotel room for a guest for some nights."""
    return f"room booked for {guest}, {nights} nights"


def cancel_booking(code: str) -> str:
    """Cancel a booking by its confirmation code."""
    return f"booking {code} is cancelled"


def room_price(kind: Literal["single", "double", "suite"]) -> str:
    """Tell the price of a kind of room per night."""
    return f"a {kind} costs 120 a night"


def wake_up_call(time: str) -> str:
    """Order a wake-up call at a time."""
    return f"we will call at {time}"


def order_breakfast(item: str) -> str:
    """Order something for breakfast to the room."""
    return f"{item} will be brought to the room"


def distance(origin: str, destination: str) -> str:
    """Tell the distance between two cities."""
    return f"{origin} to {destination}: 500 km"


def flight_status(flight: str) -> str:
    """Check whether a flight is on time, by its flight number."""
    return f"flight {flight} is on time"


def find_restaurant(cuisine: str, city: str) -> str:
    """Find a restaurant of some cuisine in a city.

    Args:
        cuisine: the kind of food
        city: where to look
    """
    return f"{cuisine} in {city}: 4 places"


def average(numbers: list[float]) -> float:
    """Calculate the average of several numbers."""
    return sum(numbers) / len(numbers)


def power(base: float, exponent: float) -> float:
    """Raise a base to the power of an exponent."""
    return base**exponent


def sunrise(city: str) -> str:
    """Tell when the sun rises in a city."""
    return f"{city}: 6:02"


def note(text: str) -> str:
    """Save a note for later."""
    return f"noted: {text}"


def search_web(query: str) -> str:
    """Search the internet for a query."""
    return f"10 pages about {query}"


def percentage(part: float, whole: float) -> float:
    """Calculate what percentage one number is of another.

    Args:
        part: the part
        whole: the whole, of which it is a part
    """
    return 100 * part / whole


def random_number(low: int, high: int) -> str:
    """Draw a random number between two limits."""
    return f"between {low} and {high}: {(low + high) // 2}"
