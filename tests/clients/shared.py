"""What Python's clients ask, and what they hold the answers against."""

import json
from collections.abc import Sequence

from pydantic import BaseModel

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
SUM = "What is 27 + 48?"
MARIA = "Answer with JSON with the keys name and age: Maria is 34 years old."
# Two texts of one meaning, and one of another.
TEXTS = ["A dog runs.", "The dog is running.", "Interest rates rose."]
# What asks for `get_weather`, in JSON.
WEATHER: dict[str, object] = {
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city"}},
        "required": ["city"],
    },
}
SKIES = {"Oslo": "rain", "Rome": "sun"}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Get the weather in a city

    Args:
        city: The city
    """
    return json.dumps({"sky": SKIES[city]})


def near(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of two vectors of length 1."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def assert_nearness(vectors: Sequence[Sequence[float]]) -> None:
    """These are the vectors of TEXTS: the first two are nearer to each other than to the third."""
    dog, running, rates = vectors
    assert len(dog) == 384
    assert abs(near(dog, dog) - 1) < 1e-3
    assert near(dog, running) > 0.7
    assert near(dog, rates) < 0.3
