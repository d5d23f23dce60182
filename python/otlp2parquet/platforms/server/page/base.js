// Elements, and texts of senders in them.
//
// Knows the DOM. It must not know what is shown. A text of a sender only ever becomes a text node:
// nothing here or elsewhere takes markup, and the document's policy forbids it (Trusted Types).

const CONTROL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

// What would be invisible, or would reorder what stands beside it, is shown by its symbol.
function visible(text) {
  return text.replace(CONTROL, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

// The beginning of a text on one line.
function oneLine(text, most = 400) {
  const cut = text.length > most ? `${wholeSlice(text, most)}\u2026` : text;
  return visible(cut.replace(/\r?\n/g, " \u21b5 "));
}

// The first characters of a text, without half of a pair of surrogates at the end.
function wholeSlice(text, most) {
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? most - 1 : most);
}

function fillNode(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// An HTML element: attributes, listeners (`onclick`), custom properties (`--hue`), children.
function el(tag, properties, ...children) {
  return fillNode(document.createElement(tag), properties, children);
}

// The same of SVG.
function svg(tag, properties, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return fillNode(node, properties, children);
}

function byId(id) {
  return document.getElementById(id);
}

// Setting what is there already would cost a layout.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

function replace(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// A button that puts a text on the clipboard, exactly as it was sent.
function copyButton(text, label = "Copy") {
  const button = el(
    "button",
    { type: "button", class: "quiet small copy", title: label, "aria-label": label },
    svg(
      "svg",
      { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": true },
      svg("rect", { x: 5.5, y: 5.5, width: 8, height: 8, rx: 1.5 }),
      svg("path", { d: "M10.5 3.5v-.5a1 1 0 0 0-1-1H3a1 1 0 0 0-1 1v6.500a1 1 0 0 0 1 1h.5" }),
    ),
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.title = "Copied";
      button.classList.add("is-done");
    } catch {
      button.title = "The browser does not allow it here";
    }
    setTimeout(() => {
      button.title = label;
      button.classList.remove("is-done");
    }, 1500);
  });
  return button;
}

const HUES = new Map();

// A colour that is the same for the same name, wherever it appears. Steps of a golden section keep
// neighbours apart; red is left to errors.
function hueOf(name) {
  if (!HUES.has(name)) {
    if (HUES.size > 1000) return 250;
    HUES.set(name, Math.round(60 + 290 * ((0.65 + HUES.size * 0.6180339887) % 1)));
  }
  return HUES.get(name);
}
