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
  const button = el("button", { type: "button", class: "quiet small", title: label }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

// A colour that is the same for the same name, wherever it appears.
function hueOf(name) {
  let hash = 2166136261;
  for (let at = 0; at < name.length; at += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 16777619);
  }
  // Neighbours on the wheel look alike: steps of a golden section keep few names apart.
  return Math.round(((hash >>> 0) * 0.6180339887) % 1 * 24) * 15;
}
