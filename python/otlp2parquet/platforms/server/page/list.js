// A list of which only the rows in sight are elements.
//
// Knows rows of one height and scrolling. It must not know what a row is. Who reads something keeps
// it in sight while rows come and go around it; who is at the end and follows stays at the end.

const BEYOND = 6; // rows on either side that are made before they are in sight

class List {
  // `make()` gives an empty row, `fill(node, item)` writes an item into it.
  constructor({ label, kind, make, fill, onOpen, follows = false }) {
    this.canvas = el("div", { class: "canvas", role: "presentation" });
    this.box = el(
      "div",
      { class: `list ${kind}`, role: "listbox", "aria-label": label, tabindex: "0" },
      this.canvas,
    );
    this.name = kind;
    this.make = make;
    this.fill = fill;
    this.onOpen = onOpen;
    this.follows = follows;
    this.isAtEnd = follows;
    this.items = [];
    this.nodes = [];
    this.selected = null;
    this.rowHeight = 0;
    this.box.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("click", (event) => {
      const node = event.target.closest(".row");
      if (node && !event.target.closest("a, button")) this.open(node.item);
    });
    new ResizeObserver(() => this.measure()).observe(this.box);
  }

  measure() {
    const height = Number.parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) || 30;
    if (height !== this.rowHeight) {
      const anchor = this.rowHeight ? this.box.scrollTop / this.rowHeight : 0;
      this.rowHeight = height;
      this.setCanvas();
      this.box.scrollTop = anchor * height;
    }
    if (this.isAtEnd) this.box.scrollTop = this.box.scrollHeight;
    this.render(true);
  }

  setCanvas() {
    this.canvas.style.height = `${this.items.length * this.rowHeight}px`;
  }

  show(items) {
    const height = this.rowHeight || 30;
    const top = this.box.scrollTop;
    const anchor = top > 0 ? this.items[Math.floor(top / height)] : undefined;
    const before = anchor === undefined ? -1 : Math.floor(top / height);
    this.items = items;
    this.setCanvas();
    if (this.isAtEnd) this.box.scrollTop = this.box.scrollHeight;
    else if (anchor !== undefined) {
      const after = items.indexOf(anchor);
      if (after >= 0 && after !== before) this.box.scrollTop = top + (after - before) * height;
    }
    this.render(true);
  }

  onScroll() {
    const left = this.box.scrollHeight - this.box.clientHeight - this.box.scrollTop;
    if (this.follows) this.isAtEnd = left < 4;
    this.render(false);
    this.onScrolled?.();
  }

  toEnd() {
    this.isAtEnd = this.follows;
    this.box.scrollTop = this.box.scrollHeight;
    this.render(false);
  }

  render(again) {
    const height = this.rowHeight;
    if (!height || !this.box.clientHeight) return;
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - BEYOND);
    const most = Math.ceil(this.box.clientHeight / height) + 2 * BEYOND + 1;
    const last = Math.min(this.items.length, first + most);
    while (this.nodes.length < most) this.nodes.push(this.newNode(this.nodes.length));
    for (let at = 0; at < this.nodes.length; at += 1) {
      // A row keeps its element while it is in sight.
      const shift = (((at - first) % this.nodes.length) + this.nodes.length) % this.nodes.length;
      this.place(this.nodes[at], first + shift, last, again);
    }
    const active = this.selected && this.nodes.find((node) => node.item === this.selected);
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  newNode(number) {
    const node = this.make();
    node.classList.add("row");
    node.setAttribute("role", "option");
    node.id = `${this.name}-row-${number}`;
    node.hidden = true;
    this.canvas.append(node);
    return node;
  }

  place(node, index, last, again) {
    if (index >= last) {
      node.hidden = true;
      node.item = null;
      return;
    }
    const item = this.items[index];
    if (again || node.item !== item || node.index !== index) {
      node.item = item;
      node.index = index;
      node.hidden = false;
      node.style.transform = `translateY(${index * this.rowHeight}px)`;
      node.classList.toggle("odd", index % 2 === 1);
      node.setAttribute("aria-setsize", this.items.length);
      node.setAttribute("aria-posinset", index + 1);
      this.fill(node, item);
    }
    node.setAttribute("aria-selected", item === this.selected);
  }

  open(item) {
    if (!item) return;
    this.select(item);
    this.onOpen(item);
  }

  select(item) {
    this.selected = item;
    const index = this.items.indexOf(item);
    if (index >= 0) {
      const top = index * this.rowHeight;
      const below = top + this.rowHeight - this.box.clientHeight;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (below > this.box.scrollTop) this.box.scrollTop = below;
    }
    this.render(false);
  }

  // Select the row that is `steps` further on; from nowhere, one in sight.
  move(steps) {
    if (this.items.length === 0) return;
    const at = this.items.indexOf(this.selected);
    const seen = Math.floor(this.box.scrollTop / this.rowHeight);
    const start = this.isAtEnd ? this.items.length - 1 : seen;
    const next = at < 0 ? start : Math.min(this.items.length - 1, Math.max(0, at + steps));
    this.select(this.items[next]);
    this.onMoved?.(this.items[next]);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight) - 1);
    const all = this.items.length;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -all, End: all };
    if (event.key in steps) this.move(steps[event.key]);
    else if (event.key === "Enter") this.open(this.selected);
    else return;
    event.preventDefault();
  }
}
