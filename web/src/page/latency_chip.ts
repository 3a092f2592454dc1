/** The small figure beside a reply, and what it opens into: where the time went. */

import type { Stages } from "../client/events.ts";
import { make } from "./elements.ts";
import { seconds, slicesOf, type Slice } from "./latency.ts";

let made = 0;

export class LatencyChip {
  readonly root = make("div", "latency");
  readonly #button = make("button");
  readonly #panel: HTMLElement;
  readonly #scroll: HTMLElement;

  constructor(stages: Stages, scroll: HTMLElement) {
    this.#scroll = scroll;
    this.#panel = breakdown(stages);
    this.#panel.id = `breakdown-${(made += 1)}`;
    this.#button.type = "button";
    this.#button.textContent = seconds(stages.reply_ms ?? 0);
    this.#button.dataset["testid"] = "latency";
    this.#button.setAttribute("aria-label", `Answered after ${seconds(stages.reply_ms ?? 0)}: where it went`);
    this.#button.setAttribute("aria-controls", this.#panel.id);
    this.#open(false);
    this.root.append(this.#button, this.#panel);
    this.#listen();
  }

  #listen(): void {
    this.#button.addEventListener("click", () => this.#open(this.#button.ariaExpanded !== "true"));
    this.root.addEventListener("pointerenter", () => this.#place());
    this.root.addEventListener("focusin", () => this.#place());
    this.root.addEventListener("pointerleave", () => this.root.classList.remove("is-dismissed"));
    this.root.addEventListener("focusout", () => {
      this.root.classList.remove("is-dismissed");
      this.#open(false);
    });
    this.root.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.#open(false);
      this.root.classList.add("is-dismissed");
    });
  }

  #open(isOpen: boolean): void {
    this.#button.ariaExpanded = String(isOpen);
    if (isOpen) this.root.classList.remove("is-dismissed");
  }

  /** Above the figure where there is no room below it. */
  #place(): void {
    const room = this.#scroll.getBoundingClientRect();
    const here = this.#button.getBoundingClientRect();
    const below = room.bottom - here.bottom;
    const isAbove = below < this.#panel.offsetHeight + 12 && here.top - room.top > below;
    this.#panel.classList.toggle("is-above", isAbove);
  }
}

function breakdown(stages: Stages): HTMLElement {
  const panel = make("div", "breakdown");
  const slices = slicesOf(stages);
  panel.append(make("p", "", `Answered after ${seconds(stages.reply_ms ?? 0)}`));
  if (slices.length) panel.append(bar(slices), list(slices));
  const note = speechNote(stages);
  if (note) panel.append(make("small", "", note));
  return panel;
}

function bar(slices: Slice[]): HTMLElement {
  const whole = make("div", "bar");
  whole.setAttribute("aria-hidden", "true");
  for (const slice of slices) {
    const piece = make("span");
    piece.dataset["slice"] = slice.name;
    piece.style.flexGrow = String(slice.ms);
    whole.append(piece);
  }
  return whole;
}

function list(slices: Slice[]): HTMLElement {
  const terms = make("dl");
  for (const slice of slices) {
    const row = make("div");
    const mark = make("i");
    mark.dataset["slice"] = slice.name;
    row.append(mark, make("dt", "", slice.label), make("dd", "", `${Math.round(slice.ms)} ms`));
    terms.append(row);
  }
  return terms;
}

/** The recogniser works while the turn is being decided, so its time is no slice of its own. */
function speechNote({ stt_ms }: Stages): string {
  return stt_ms === undefined ? "" : `Your words were ready ${Math.round(stt_ms)} ms after you fell silent.`;
}
