// Elements by their ids, and new ones. Text from the server only ever becomes text.

export const byId = (id) => document.getElementById(id);

/** Sets a text if it is another one: a live region speaks when it is touched. */
export function say(id, text) {
  const element = typeof id === "string" ? byId(id) : id;
  if (element.textContent !== text) element.textContent = text;
}

/** A new element with attributes and children (elements or text). */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Fills a table's body. A cell is a text, or {text, number, title, head, state}. */
export function fill(table, rows, empty) {
  const columns = table.tHead.rows[0]?.cells.length ?? 1;
  const lines = rows.map((cells) => {
    const line = make("tr");
    for (const cell of cells) {
      const { text, number, title, head, state } = typeof cell === "object" ? cell : { text: cell };
      const attributes = { class: number ? "n" : null, title, "data-state": state };
      if (head) attributes.scope = "row";
      line.append(make(head ? "th" : "td", attributes, String(text)));
    }
    return line;
  });
  if (lines.length === 0) lines.push(make("tr", {}, make("td", { colspan: columns, class: "quiet" }, empty)));
  table.tBodies[0].replaceChildren(...lines);
}

/** Fills a select, and keeps what was chosen where it can. */
export function options(select, entries, fallback) {
  const wanted = select.value || String(fallback);
  const same = select.options.length === entries.length
    && entries.every(([value, text], i) => select.options[i].value === String(value) && select.options[i].text === text);
  if (same) return;
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
  const has = entries.some(([value]) => String(value) === wanted);
  select.value = has ? wanted : String(fallback);
}
