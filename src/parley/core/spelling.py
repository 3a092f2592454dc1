"""How a text must be spelled: a pattern for programs, and the same in words for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MISSPELLED = "misspelled"
"""The type of the error."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """For ``Annotated[str, …]``: all of the text must fit ``pattern``.

    ``takes`` says what may be written, for the error: "NAME: takes letters and digits". Pydantic's
    own pattern would show the regular expression instead.
    """

    pattern: str
    takes: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def _check(self, text: str | None) -> str | None:
        # Where nothing may be written, null is right, too.
        if text is not None and not re.fullmatch(self.pattern, text):
            raise PydanticCustomError(MISSPELLED, "takes {takes}", {"takes": self.takes})
        return text


ONE_LINE = "one line of text, without control characters"
LINE = Spelling(r"[^\x00-\x1f\x7f]*", ONE_LINE)
