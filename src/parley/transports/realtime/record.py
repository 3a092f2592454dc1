"""The conversation as the client knows it: its items in order, each with what was heard of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from parley.session.items import FRONT
from parley.transports.realtime.client_items import Item
from parley.transports.realtime.wire import Fault

MOST_ITEMS = 2000
MOST_CHARACTERS = 8_000_000
"""Of all items that clients put in: many times what models can read."""


@dataclass
class Heard:
    """What the agent said in an item, word by word: where in its sound each ended, in ms."""

    ends_ms: list[float] = field(default_factory=list[float])
    texts: list[str] = field(default_factory=list[str])
    length_ms: float = 0.0

    def add(self, text: str) -> None:
        self.ends_ms.append(self.length_ms)
        self.texts.append(text)

    @property
    def text(self) -> str:
        return "".join(self.texts).strip()

    def cut(self, at_ms: float) -> str:
        """Nothing after that was heard; the words that had ended by then."""
        ended = sum(1 for end_ms in self.ends_ms if end_ms <= at_ms)
        del self.ends_ms[ended:], self.texts[ended:]
        self.length_ms = min(self.length_ms, at_ms)
        return self.text


class Record:
    """Bounded: of very long conversations the oldest items are forgotten here (not by the model,
    which has a bound of its own)."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._heard: dict[str, Heard] = {}
        self._sizes: dict[str, int] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._items), None)

    def items(self) -> list[Item]:
        return list(self._items.values())

    def get(self, item_id: str, param: str = "item_id", code: str = "item_not_found") -> Item:
        """Raises ``Fault``."""
        item = self._items.get(item_id)
        if item is None:
            raise Fault(f"There is no item {item_id}.", code=code, param=param)
        return item

    def require_room(self, item: Item) -> None:
        """Raises ``Fault`` where a client has put in as much as it may."""
        if len(self._items) >= MOST_ITEMS:
            raise Fault(
                f"The conversation has {MOST_ITEMS} items: delete some of them.",
                code="too_many_items",
                param="item",
            )
        if sum(self._sizes.values()) + _size_of(item) > MOST_CHARACTERS:
            raise Fault(
                f"The conversation would have more than {MOST_CHARACTERS:,} characters: delete "
                "some of its items.",
                code="string_above_max_length",
                param="item",
            )

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put the item in its place and return which comes before it. Raises ``Fault``."""
        if item["id"] in self._items:
            raise Fault(f"There is an item {item['id']} already.", param="item.id")
        if after is not None and after != FRONT:
            self.get(after, "previous_item_id")
        before = self.last_id if after is None else after
        self._items[item["id"]] = item
        self._sizes[item["id"]] = _size_of(item)
        if after is not None:
            self._move_behind(item["id"], after)
        if len(self._items) > MOST_ITEMS:
            oldest, _ = self._items.popitem(last=False)
            self._heard.pop(oldest, None)
            self._sizes.pop(oldest, None)
        return None if before == FRONT else before

    def delete(self, item_id: str) -> None:
        self.get(item_id, code="item_delete_invalid_item_id")
        del self._items[item_id], self._sizes[item_id]
        self._heard.pop(item_id, None)

    def said(self, item_id: str) -> Heard:
        """Where the agent's words in the item are kept."""
        return self._heard.setdefault(item_id, Heard())

    def spoken(self, item_id: str, content_index: int) -> Heard:
        """The agent's words in an item that can be truncated. Raises ``Fault``."""
        item = self.get(item_id, code="item_truncate_invalid_item_id")
        is_speech = item.get("role") == "assistant" and item_id in self._heard
        if not is_speech:
            raise Fault(
                f"The item {item_id} is not the agent's speech: there is nothing to truncate.",
                param="item_id",
            )
        if content_index:
            raise Fault("The content_index of speech is 0.", param="content_index")
        return self._heard[item_id]

    def _move_behind(self, item_id: str, after: str) -> None:
        order = [each for each in self._items if each != item_id]
        at = 0 if after == FRONT else order.index(after) + 1
        for each in [item_id, *order[at:]]:
            self._items.move_to_end(each)


def _size_of(item: Item) -> int:
    """The characters of its texts."""
    texts = [item.get("arguments"), item.get("output")]
    for part in item.get("content", ()):
        texts += [part.get("text"), part.get("transcript")]
    return sum(len(text) for text in texts if text)
