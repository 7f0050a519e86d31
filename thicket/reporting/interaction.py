"""The page's own script: tables are sorted by a click or Enter on a column's head, and rows are filtered by a text.

Without it the page shows all the same. A policy in the page's head lets this script run and no other, and nothing be
fetched, whatever a text in the page may hold.
"""

import base64
import hashlib

SCRIPT = """
"use strict";
const shown = (cell) => cell.firstChild ? cell.firstChild.textContent.trim() : "";
const number = (text) => {
  const found = text.replaceAll("\\u2212", "-").replaceAll(",", "").match(/^[-+]?[0-9]*\\.?[0-9]+(?:e[-+]?[0-9]+)?/);
  if (!found) return NaN;
  const unit = text.slice(found[0].length).trim()[0], powers = "kMGTPEZY";
  return parseFloat(found[0]) * (powers.includes(unit) ? 1000 ** (powers.indexOf(unit) + 1) : 1);
};
const compared = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (isNaN(x) && isNaN(y)) return a.localeCompare(b);
  return isNaN(x) ? 1 : isNaN(y) ? -1 : x - y;
};
const sort = (table, column, head) => {
  const up = head.getAttribute("aria-sort") === "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0], kept = (row) => shown(row.cells[column]);
  const rows = [...body.rows].map((row) => [kept(row), row]);
  const empty = (text) => text === "" || text === "\\u2014";
  rows.sort(([a], [b]) => empty(a) - empty(b) || (up ? compared(a, b) : compared(b, a)));
  body.append(...rows.map(([, row]) => row));
  table.classList.add("sorted");
};
for (const table of document.querySelectorAll("table:not(.claims)")) {
  if (!table.tHead || table.tBodies[0].rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column, head));
    head.append(button);
  });
  if (table.tBodies[0].rows.length < 6) continue;
  const field = document.createElement("input"), title = table.closest("div:has(> h3)")?.querySelector("h3");
  field.type = "search";
  field.placeholder = "rows with …";
  field.setAttribute("aria-label", "Show rows with this text" + (title ? ": " + title.textContent : ""));
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  table.parentElement.before(field);
}
"""


def script() -> str:
    """The element that holds the script."""
    return f"<script>{SCRIPT}</script>"


def policy() -> str:
    """The element that allows the page's style and script, and nothing else: no other script, no request."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    allowed = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return f'<meta http-equiv="Content-Security-Policy" content="{allowed}; form-action \'none\'">'
