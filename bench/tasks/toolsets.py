"""The tools of the small tasks: plain typed functions, in sets of 2, 5 and 10. Answers are fixed, so that a run can be judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from bench.tasks.counters import (
    Day,
    balance,
    block_card,
    book_appointment,
    cancel_appointment,
    exchange_rate,
    find_branch,
    find_medicine,
    test_results,
    transfer,
    visiting_hours,
)


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


Function = Callable[..., Any]

SETS: dict[str, list[Function]] = {
    "clinic": [book_appointment, cancel_appointment, test_results, find_medicine, visiting_hours],
    "bank": [balance, transfer, block_card, find_branch, exchange_rate],
    "bills": [tip, split_bill],
    "letters": [uppercase, count_letter],
    "hotel": [book_room, cancel_booking, room_price, wake_up_call, order_breakfast],
    "trip": [
        distance,
        flight_status,
        find_restaurant,
        average,
        power,
        sunrise,
        note,
        search_web,
        percentage,
        random_number,
    ],
    "sums": [add, multiply],
    "text": [celsius_to_fahrenheit, count_words],
    "shop": [get_order, cancel_order, track_parcel, search_products, opening_hours],
    "desk": [
        add,
        subtract,
        multiply,
        divide,
        weather,
        current_time,
        convert_currency,
        set_timer,
        find_contact,
        send_message,
        translate,
    ],
    "powers": [minus, square],
    "words": [reverse_text, define],
    "library": [find_book, borrow_book, return_book, fine, reserve_room],
    "home": [
        lights,
        thermostat,
        play_music,
        set_alarm,
        add_to_shopping_list,
        rectangle_area,
        square_root,
        stock_price,
        population,
        convert_units,
    ],
}
