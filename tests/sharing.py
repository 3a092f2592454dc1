"""How the tests are shared out among pytest-xdist's workers: a file to one, all browsers to one."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_WITH_BROWSERS = ("tests/e2e/", "tests/console/")


class Sharing(LoadScopeScheduling):
    """xdist's own groups are written into a private name that pytest 9.2 no longer reads."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browsers" if file.startswith(_WITH_BROWSERS) else file
