/** The panel that says what went wrong and what to do, and the smaller hint below it. */

import { element } from "./elements.ts";
import type { Advice } from "./words.ts";

export class Trouble {
  readonly #panel = element("error", HTMLDivElement);
  readonly #title = element("error-title", HTMLParagraphElement);
  readonly #text = element("error-text", HTMLParagraphElement);
  readonly #retry = element("retry", HTMLButtonElement);
  readonly #typeOnly = element("type-only", HTMLButtonElement);
  #onRetry: () => void = () => undefined;
  #onTypeOnly: () => void = () => undefined;

  constructor() {
    this.#retry.addEventListener("click", () => this.#onRetry());
    this.#typeOnly.addEventListener("click", () => this.#onTypeOnly());
  }

  show(advice: Advice, onRetry: () => void, onTypeOnly?: () => void): void {
    this.#title.textContent = advice.title;
    this.#text.textContent = advice.text;
    this.#retry.textContent = advice.retry;
    this.#panel.dataset["tone"] = advice.isCalm ? "calm" : "bad";
    this.#onRetry = onRetry;
    this.#onTypeOnly = onTypeOnly ?? (() => undefined);
    this.#typeOnly.hidden = !advice.canType || !onTypeOnly;
    this.#panel.hidden = false;
    this.#retry.focus({ preventScroll: true });
    this.#panel.scrollIntoView({ block: "nearest" });
  }

  hide(): void {
    this.#panel.hidden = true;
  }
}

export class Hint {
  readonly #line = element("hint", HTMLParagraphElement);
  readonly #text = element("hint-text", HTMLSpanElement);
  readonly #action = element("hint-action", HTMLButtonElement);
  #act: () => void = () => undefined;

  constructor() {
    this.#action.addEventListener("click", () => {
      this.hide();
      this.#act();
    });
  }

  show(text: string, label = "", act: () => void = () => undefined): void {
    this.#text.textContent = text;
    this.#action.textContent = label;
    this.#action.hidden = !label;
    this.#act = act;
    this.#line.hidden = false;
  }

  /** Hides the hint; with a text, only if that is the one shown. */
  hide(text?: string): void {
    if (text === undefined || this.#text.textContent === text) this.#line.hidden = true;
  }
}
