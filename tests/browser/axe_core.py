"""The rules of axe-core, for what kmagic shows and not for Jupyter's own elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ALLOWED_IMPACTS = ("minor", "moderate")
# axe-core takes what is outside <body> for invisible, and JupyterLab's has no height.
STYLE = "body { height: 100vh }"


def serious_violations(page: Page) -> str:
    """Each serious or critical violation on a page's cards."""
    from axe_playwright_python.sync_playwright import Axe

    page.add_style_tag(content=STYLE)
    result = Axe().run(page, ".kmagic", {"resultTypes": ["violations"]}).response
    # Without a text whose contrast is measured, that rule would say nothing.
    measured = [*result["violations"], *result["passes"]]
    assert any(rule["id"] == "color-contrast" for rule in measured)
    return "\n".join(
        f"{rule['id']}: {node['html'][:150]}: {node['failureSummary']}"
        for rule in result["violations"]
        if rule["impact"] not in ALLOWED_IMPACTS
        for node in rule["nodes"]
    )
